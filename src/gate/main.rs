//! The gate's program: one static binary, one verb an argument.

mod init;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let code = match args.first().map(String::as_str) {
        Some("init") => init::run(&args[1..]),
        _ => 2,
    };
    std::process::exit(code);
}
