//! Every shipped scenario is a test.

fn main() -> std::process::ExitCode {
    firedrill::harness_main("scenarios")
}
