//! What the inner end of a forward says, on two connections that were made here. It ends the stream or is carried; no
//! input panics or hangs, and no connection is told more than was said.

use std::io::{Read, Write, pipe};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;
use wire::mux::Mux;

pub fn run(input: &[u8]) {
    let (said, mut says) = pipe().unwrap();
    let (_heard, hears) = pipe().unwrap();
    let mut mux = Mux::on_host(said, hears).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let clients = [1, 2].map(|port| {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        mux.open(listener.accept().unwrap().0, port).unwrap();
        client
    });
    // As much as a pipe holds.
    says.write_all(&input[..input.len().min(4096)]).unwrap();
    drop(says);
    while mux.run_once(&[]).is_ok_and(|round| !round.is_over) {}
    drop(mux);
    let mut heard = Vec::new();
    for mut client in clients {
        // Until its end, or its reset.
        let _ = client.read_to_end(&mut heard);
    }
    assert!(heard.len() <= input.len());
}
