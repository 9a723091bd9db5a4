use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::{Event, Events, FetchError};

/// The error of rustls-platform-verifier on a machine without certificates.
const NO_AUTHORITIES: &str = "No CA certificates were loaded";
/// The part that was asked for follows the end of the file.
const RANGE_NOT_SATISFIABLE: u16 = 416;
const PARTIAL_CONTENT: u16 = 206;

/// Fetches a file into `part` and returns its bytes. A `part` that is there already is gone on with, so an interrupted download
/// loses nothing. The file is removed once it has been read whole, or where nothing came.
pub(super) fn fetch(url: &str, part: &Path, events: Events<'_>) -> Result<Vec<u8>, FetchError> {
    let io = || FetchError::io(part);
    let mut file =
        File::options().create(true).truncate(false).read(true).write(true).open(part).map_err(io())?;
    let fetched =
        fetch_into(url, &mut file, events).map_err(|source| FetchError::Http { url: url.to_owned(), source });
    if fetched.is_ok() || file.metadata().map_err(io())?.len() == 0 {
        std::fs::remove_file(part).map_err(io())?;
    }
    fetched
}

/// An error of the HTTP client, or of the file while it is written.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn fetch_into(url: &str, file: &mut File, events: Events<'_>) -> Result<Vec<u8>, Failure> {
    let mut there = file.seek(SeekFrom::End(0))?;
    let mut response = match request(url, there) {
        Err(ureq::Error::StatusCode(RANGE_NOT_SATISFIABLE)) => request(url, 0)?,
        other => other?,
    };
    if response.status() != PARTIAL_CONTENT {
        // The server sends the whole file again.
        file.set_len(0)?;
        there = file.seek(SeekFrom::Start(0))?;
    }
    let total = response.body().content_length().map(|rest| there + rest);
    let mut body = Reported { body: response.body_mut().as_reader(), bytes: there, total, events };
    std::io::copy(&mut body, file)?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    Ok(bytes)
}

/// The body of an answer, which reports how much of it was read.
struct Reported<'a, R> {
    body: R,
    bytes: u64,
    total: Option<u64>,
    events: Events<'a>,
}

impl<R: Read> Read for Reported<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.body.read(buffer)?;
        self.bytes += n as u64;
        (self.events)(Event::Received { bytes: self.bytes, total: self.total });
        Ok(n)
    }
}

/// Requests a file from a byte on.
///
/// The authorities are those that the platform trusts; on Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. A machine that has none, such as
/// a small container, accepts the authorities of Mozilla's list.
fn request(url: &str, from: u64) -> Result<Response<Body>, ureq::Error> {
    let call = |roots: RootCerts| {
        let tls = TlsConfig::builder().root_certs(roots).build();
        let request = Agent::config_builder().tls_config(tls).build().new_agent().get(url);
        if from > 0 { request.header("Range", format!("bytes={from}-")).call() } else { request.call() }
    };
    match call(RootCerts::PlatformVerifier) {
        Err(error) if error.to_string().contains(NO_AUTHORITIES) => call(RootCerts::WebPki),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::process::Command;
    use std::sync::Arc;
    use std::thread::JoinHandle;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// A server that gives these answers, one a connection, and returns the `Range` of each request.
    fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<Option<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let serve = move |answer: &&str| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(&stream).lines().map(Result::unwrap);
            let header: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer.as_bytes()).unwrap();
            header.iter().find_map(|line| Some(line.to_lowercase().strip_prefix("range: ")?.to_owned()))
        };
        (url, std::thread::spawn(move || answers.iter().map(serve).collect()))
    }

    #[test]
    fn a_server_that_cannot_be_reached_leaves_no_empty_part() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("file.part");
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("http://{address}/file");
        let error = fetch(&url, &part, &|_| {}).unwrap_err();
        assert!(format!("{error:#}").contains(&url), "{error:#}");
        assert!(!part.exists());
        std::fs::write(&part, "half").unwrap();
        fetch(&url, &part, &|_| {}).unwrap_err();
        assert_eq!(std::fs::read_to_string(&part).unwrap(), "half", "what was fetched before stays");
    }

    #[test]
    fn a_part_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("file.part");
        std::fs::write(&part, "half").unwrap();
        let (url, asked) = server(&[
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\nConnection: close\r\n\r\n a pie\n",
        ]);
        assert_eq!(fetch(&url, &part, &|_| {}).unwrap(), b"half a pie");
        assert_eq!(asked.join().unwrap(), [Some("bytes=4-".to_owned())]);
        assert!(!part.exists());
    }

    #[test]
    fn a_part_that_the_server_does_not_go_on_with_is_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("file.part");
        std::fs::write(&part, "too long by far").unwrap();
        let (url, asked) = server(&[
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole",
        ]);
        assert_eq!(fetch(&url, &part, &|_| {}).unwrap(), b"whole");
        assert_eq!(asked.join().unwrap(), [Some("bytes=15-".to_owned()), None]);
    }

    /// The certificate of an authority that nothing trusts, and that of `localhost`, which it signed, with its key. They are valid until 2126.
    const AUTHORITY: &str = include_str!("../tests/data/authority.pem");
    const SERVER: &[u8] = include_bytes!("../tests/data/localhost.pem");
    const SERVER_KEY: &[u8] = include_bytes!("../tests/data/localhost-key.pem");

    /// A server that answers over TLS until the test ends. Returns its address.
    fn tls_server() -> String {
        let certificates = vec![CertificateDer::from_pem_slice(SERVER).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
                // A client that does not trust the certificate ends the connection.
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|n| n > 2) {
                    line.clear();
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsecured";
                stream.get_mut().write_all(answer.as_bytes()).ok();
                stream.get_mut().conn.send_close_notify();
                stream.get_mut().flush().ok();
            }
        });
        format!("https://localhost:{port}/file")
    }

    const URL: &str = "PADA_TEST_URL";

    /// Fetches the address that [`URL`] names, in a process of its own, because the certificates are named by its environment.
    #[test]
    #[allow(clippy::print_stdout, reason = "the other test reads it")]
    fn fetches_in_another_process() {
        let Ok(url) = std::env::var(URL) else { return };
        let folder = tempfile::tempdir().unwrap();
        match fetch(&url, &folder.path().join("file.part"), &|_| {}) {
            Ok(bytes) => println!("fetched {}", String::from_utf8(bytes).unwrap()),
            Err(error) => println!("refused {error}"),
        }
    }

    #[test]
    fn the_certificates_of_the_environment_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, AUTHORITY).unwrap();
        let url = tls_server();
        let fetched = |certificates: Option<&Path>| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .args(["--exact", "http::tests::fetches_in_another_process", "--nocapture"])
                .env(URL, &url);
            for name in
                ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            {
                command.env_remove(name);
            }
            command.envs(certificates.map(|file| ("SSL_CERT_FILE", file)));
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        if cfg!(target_os = "linux") {
            let trusted = fetched(Some(&authority));
            assert!(trusted.contains("fetched secured"), "{trusted}");
        }
        // Without the file, the authority is unknown, also if the machine has no certificates at all.
        for file in [None, Some(folder.path().join("missing.pem"))] {
            let refused = fetched(file.as_deref());
            assert!(refused.contains("refused") && refused.contains("SSL_CERT_FILE"), "{refused}");
        }
    }
}
