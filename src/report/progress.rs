//! A progress bar on standard error, for terminals.

use std::io;

use indicatif::{ProgressBar, ProgressStyle};

use super::Reporter;
use crate::record::event::Event;

/// Shows how many cases are through, and vanishes at the end.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that is not drawn until the run starts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// Draws something else without the bar in the way.
    pub fn suspend<T>(&self, draw: impl FnOnce() -> T) -> T {
        self.bar.suspend(draw)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter for Progress {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { cases, .. } => {
                let style = ProgressStyle::with_template("{bar:30} {pos}/{len} cases  {elapsed}");
                self.bar = ProgressBar::new(*cases as u64)
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            }
            Event::Finished(record) => self.bar.inc(record.cases.len() as u64),
            Event::Compared(_) | Event::Found(_) | Event::Covered(_) => {}
            Event::Ended(_) => self.bar.finish_and_clear(),
        }
        Ok(())
    }
}
