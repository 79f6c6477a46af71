//! The sender against a server of a few lines that answers what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use super::*;

fn request(signal: Signal) -> Request {
    Request {
        due_ms: 0,
        signal,
        items: 3,
        refused: 0,
        content_type: "application/json",
        content_encoding: None,
        raw_bytes: 2,
        body: b"{}".to_vec(),
        is_repeated: false,
    }
}

/// Serves one answer after another, each on a connection of its own, and gives back the request lines and bodies.
fn serve(answers: &'static [&'static str]) -> (Target, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        answers
            .iter()
            .map(|answer| {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let (mut first, mut length) = (String::new(), 0);
                reader.read_line(&mut first).unwrap();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
                format!("{} {}", first.trim(), String::from_utf8(body).unwrap())
            })
            .collect()
    });
    (Target { url, headers: vec![("authorization".to_owned(), "Bearer demo".to_owned())] }, served)
}

#[test]
fn a_request_that_is_put_off_is_sent_again_and_counted_once() {
    let (target, served) = serve(&[
        "HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 41\r\nConnection: close\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1\"}} ",
    ]);
    let sent = send(&target, &[request(Signal::Traces)], &|_| ()).unwrap();
    assert_eq!((sent.requests, sent.put_off), (1, 2));
    assert_eq!((sent.accepted[Signal::Traces], sent.refused[Signal::Traces]), (2, 1));
    assert_eq!(served.join().unwrap(), ["POST /v1/traces HTTP/1.1 {}"; 3]);
}

#[test]
fn a_repeated_request_is_sent_twice_and_accepted_once() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let (target, served) = serve(&[OK, OK]);
    let sent = send(&target, &[Request { is_repeated: true, ..request(Signal::Logs) }], &|_| ()).unwrap();
    assert_eq!((sent.accepted[Signal::Logs], sent.repeated[Signal::Logs]), (3, 3));
    assert_eq!(served.join().unwrap().len(), 2);
}

#[test]
fn a_final_refusal_is_told_with_its_text() {
    let (target, served) = serve(&["HTTP/1.1 401 No\r\nContent-Length: 13\r\nConnection: close\r\n\r\nmissing token"]);
    let failure = send(&target, &[request(Signal::Metrics)], &|_| ()).unwrap_err().to_string();
    assert!(failure.contains("/v1/metrics answered 401: missing token"), "{failure}");
    served.join().unwrap();
}
