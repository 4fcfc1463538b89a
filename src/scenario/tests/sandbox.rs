//! `sandbox:`, good and bad.

use std::path::Path;

use insta::assert_snapshot;

use super::{FOLDER, good, problems_of, with_tests};
use crate::scenario::{ContainerImage, Sandbox};

/// A good scenario but for this line in front.
fn with(line: &str) -> String {
    format!(
        "{line}\n{}",
        with_tests(&["internet -> firewall tcp/80: accept"])
    )
}

#[test]
fn a_scenario_that_says_nothing_stands_on_this_machine() {
    assert_eq!(good(&with("name: web")).sandbox, Sandbox::Machine);
}

#[test]
fn an_image_is_named_as_the_engine_names_it() {
    let image = "registry.example:5000/firewalls/edge:2";
    let scenario = good(&with(&format!(
        "sandbox: {{ docker: {{ image: \"{image}\" }} }}"
    )));
    assert_eq!(
        scenario.sandbox,
        Sandbox::Container(ContainerImage::Named(image.to_owned()))
    );
}

#[test]
fn a_dockerfile_is_relative_to_the_scenario_and_may_be_named_by_its_folder() {
    let folder = Path::new(FOLDER);
    for (written, path) in [
        (".", folder.to_owned()),
        ("Dockerfile", folder.join("Dockerfile")),
    ] {
        let scenario = good(&with(&format!(
            "sandbox: {{ docker: {{ dockerfile: {written}, base: \"debian:13\" }} }}"
        )));
        let expected = ContainerImage::Dockerfile {
            path,
            base: Some("debian:13".to_owned()),
        };
        assert_eq!(scenario.sandbox, Sandbox::Container(expected));
    }
}

#[test]
fn sandboxes_that_cannot_be_made_are_refused_each_with_its_reason() {
    assert_snapshot!(problems_of(&with("sandbox: docker")), @r#"
    error: expected a map, found a text
     --> test.yaml:1:10
      |
    1 | sandbox: docker
      |          ^^^^^^
      |
    help: the sandbox has the keys `docker`
    "#);
    assert_snapshot!(problems_of(&with("sandbox: { docker: {} }")), @r#"
    error: the container has none of `image` and `dockerfile`
     --> test.yaml:1:12
      |
    1 | sandbox: { docker: {} }
      |            ^^^^^^
    "#);
    assert_snapshot!(problems_of(&with(
        "sandbox: { docker: { dockerfile: web.d } }"
    )), @r#"
    error: the Dockerfile of `web.d` does not exist
     --> test.yaml:1:34
      |
    1 | sandbox: { docker: { dockerfile: web.d } }
      |                                  ^^^^^
      |
    help: looked for web.d
    "#);
    assert_snapshot!(problems_of(&with(
        "sandbox: { docker: { image: debian 12, base: debian } }"
    )), @r#"
    error: `debian 12` is not the name of an image
     --> test.yaml:1:29
      |
    1 | sandbox: { docker: { image: debian 12, base: debian } }
      |                             ^^^^^^^^^
      |
    help: write it as the container engine does: `debian:12`

    error: an image that is not built has no base
     --> test.yaml:1:46
      |
    1 | sandbox: { docker: { image: debian 12, base: debian } }
      |                                              ^^^^^^
      |
    help: say `dockerfile:` instead of `image:`, or leave `base:` out
    "#);
    assert_snapshot!(problems_of(&with(
        "sandbox: { docker: { image: debian, dockerfile: . } }"
    )), @r#"
    error: the container can have only one of `image` and `dockerfile`
     --> test.yaml:1:37
      |
    1 | sandbox: { docker: { image: debian, dockerfile: . } }
      |                      -----          ^^^^^^^^^^
      |                      |
      |                      the first is here
    "#);
}
