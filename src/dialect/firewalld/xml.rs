//! XML as far as firewalld's files need it: elements with their attributes, and where they stand.

use quick_xml::{Reader, events::Event};

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
    /// Byte offset of its `<`.
    pub(super) at: usize,
    /// Line of it, from 1.
    pub(super) line: usize,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Deeper than any of firewalld's files go.
const MAX_DEPTH: usize = 32;

/// Reads a document; its root element, or nothing if it is not well-formed. What is wrong with it is for firewalld
/// to tell, which reads it too.
pub(super) fn read(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    // The root's parent.
    let mut open = vec![Element::default()];
    let (mut counted, mut line) = (0, 1);
    loop {
        let at = reader.buffer_position() as usize;
        line += text.get(counted..at)?.matches('\n').count();
        counted = at;
        let event = reader.read_event().ok()?;
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                let mut attributes = Vec::new();
                for attribute in start.attributes() {
                    let attribute = attribute.ok()?;
                    let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
                    let value = String::from_utf8_lossy(&attribute.value).into_owned();
                    attributes.push((key, value));
                }
                let element = Element {
                    name: String::from_utf8_lossy(start.name().as_ref()).into_owned(),
                    attributes,
                    at,
                    line,
                    ..Element::default()
                };
                match event {
                    Event::Start(_) if open.len() > MAX_DEPTH => return None,
                    Event::Start(_) => open.push(element),
                    _ => add(&mut open, element),
                }
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    add(&mut open, element);
                }
            }
            Event::Text(content) => {
                if let Some(element) = open.last_mut() {
                    element.text += &String::from_utf8_lossy(content);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    // What is open still is not well-formed.
    let [top] = <[Element; 1]>::try_from(open).ok()?;
    top.children.into_iter().next()
}

fn add(open: &mut [Element], element: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(element);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_know_their_lines() {
        let text = "<?xml version=\"1.0\"?>\n<zone\n  target=\"DROP\">\n  <short>A</short>\n  <!-- <no/>\n -->\n  \
                    <rule family='ipv4'>\n    <accept/>\n  </rule>\n</zone>\n";
        let root = read(text).expect("it is well-formed");
        let rule = root.child("rule").expect("a rule");
        assert_eq!((root.line, root.attribute("target")), (2, Some("DROP")));
        assert_eq!((rule.line, rule.attribute("family")), (7, Some("ipv4")));
        assert_eq!(rule.children[0].line, 8);
        assert!(text[rule.at..].starts_with("<rule"));
        assert_eq!(root.children[0].text, "A");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in ["<zone><a></zone>", "<zone>", "", "<zone a=1/>"] {
            assert_eq!(read(text), None);
        }
        assert_eq!(read(&"<a>".repeat(1 << 20)), None);
    }
}
