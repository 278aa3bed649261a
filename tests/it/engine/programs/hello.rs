//! Prints a greeting from a thread and a child process.

fn main() {
    let thread = std::thread::spawn(|| std::process::Command::new("echo").arg("hello").output().unwrap().stdout);
    print!("{}", String::from_utf8(thread.join().unwrap()).unwrap());
}
