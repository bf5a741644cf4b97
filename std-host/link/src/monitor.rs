//! Pages for who watches a service: `/metrics`, `/devices`, `/versions`, `/healthz` and `/readyz`
//! over HTTP, at an address of its own. [`ask`] reads one.

use core::convert::Infallible;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at the same time.
const MOST: usize = 16;
/// A request must be complete within this time ...
const HEADER: Duration = Duration::from_secs(2);
/// ... and its answer taken within this one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, for instance because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A service that can be watched.
pub trait Watched: Send + Sync + 'static {
    /// Its figures, as OpenMetrics' text.
    fn metrics(&self) -> String;

    /// Its devices, by name; none for a service that has none.
    fn devices(&self) -> Vec<DeviceFigures> {
        Vec::new()
    }

    /// Whether it can serve now.
    ///
    /// # Errors
    /// Why not, in a sentence.
    fn expect_ready(&self) -> Result<(), String>;
}

/// A device, as a service sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// Its name.
    pub name: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Sessions that were evaluated.
    pub evaluated: u64,
    /// When it was here at last, in seconds since 1970.
    pub seen_unix_seconds: u64,
    /// Sessions that are prepared ahead.
    pub ready: u64,
    /// Sessions of today, as the service counts them on disk; none where it counts none.
    pub today: Option<u32>,
    /// Most sessions of it on a day.
    pub most_a_day: Option<u32>,
    /// Sessions that it ever had, as the service counts them on disk.
    pub sessions: Option<u64>,
    /// The lowest session number that it has not used, as far as the service knows.
    pub next_session: Option<u64>,
}

impl DeviceFigures {
    /// A device that was not here since the start.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            connected: false,
            evaluated: 0,
            seen_unix_seconds: 0,
            ready: 0,
            today: None,
            most_a_day: None,
            sessions: None,
            next_session: None,
        }
    }
}

/// The page's address, and what the program is.
#[derive(Debug)]
pub struct Monitor {
    listener: TcpListener,
    versions: Arc<str>,
}

impl Monitor {
    /// Listens on `HOST:PORT`; port 0 takes a free one. `versions` says what the program speaks,
    /// for who compares it with another one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: &str, versions: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        if !local.ip().is_loopback() {
            tracing::warn!("whoever reaches {local} can read the figures of this service");
        }
        tracing::info!("figures at http://{local}/metrics");
        Ok(Self { listener, versions: versions.into() })
    }

    /// The address in use.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(&self) -> io::Result<core::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`.
    pub async fn serve(self, watched: Arc<dyn Watched>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MOST));
        loop {
            let free = async {
                let place = places.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, stream) = tokio::select! {
                () = stop.cancelled() => return,
                (place, accepted) = free => match accepted {
                    Ok((stream, _)) => (place, stream),
                    Err(error) => {
                        tracing::debug!("figures: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let (watched, stop) = (watched.clone(), stop.clone());
            let versions = self.versions.clone();
            tokio::spawn(async move {
                let _place = place;
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = tokio::time::timeout(PATIENCE, answer(stream, watched, versions)) => {}
                }
            });
        }
    }
}

/// Answers the requests of a connection.
async fn answer(stream: TcpStream, watched: Arc<dyn Watched>, versions: Arc<str>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (watched, versions) = (watched.clone(), versions.clone());
        // Who is watched may wait for a disk.
        let answered = tokio::task::spawn_blocking(move || {
            respond(request.method(), request.uri().path(), &*watched, &versions)
        });
        async {
            let failed = |_| {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            };
            Ok::<_, Infallible>(answered.await.unwrap_or_else(failed))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(16 << 10);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("figures: {error}");
    }
}

fn respond(
    method: &Method,
    path: &str,
    watched: &dyn Watched,
    versions: &str,
) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            (StatusCode::OK, OPEN_METRICS, watched.metrics())
        }
        (&Method::GET | &Method::HEAD, "/devices") => {
            let devices = serde_json::to_string(&watched.devices()).unwrap_or_default();
            (StatusCode::OK, JSON, devices)
        }
        (&Method::GET | &Method::HEAD, "/versions") => {
            (StatusCode::OK, PLAIN, format!("{versions}\n"))
        }
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, PLAIN, "ok\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => match watched.expect_ready() {
            Ok(()) => (StatusCode::OK, PLAIN, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
        },
        (&Method::GET | &Method::HEAD, _) => {
            let pages = "there is /metrics, /devices, /versions, /healthz and /readyz\n".to_owned();
            (StatusCode::NOT_FOUND, PLAIN, pages)
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A page of a service that is watched: whether it is as it should be, and its text.
///
/// # Errors
/// Nobody answers, or not in this way.
pub async fn ask(address: &str, path: &str) -> io::Result<(bool, String)> {
    const LONGEST: usize = 16 << 20;
    let asked = async {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
        let request = Request::get(path).header(HOST, address).body(Empty::<Bytes>::new());
        let request = request.map_err(io::Error::other)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.map_err(io::Error::other)?;
            let text = String::from_utf8(body.to_bytes().into()).map_err(io::Error::other)?;
            Ok((head.status.is_success(), text))
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            ended = connection => {
                ended.map_err(io::Error::other)?;
                answer.await
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await?
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Switch(AtomicBool);

    impl Watched for Switch {
        fn metrics(&self) -> String {
            "figures\n# EOF\n".to_owned()
        }

        fn expect_ready(&self) -> Result<(), String> {
            let ready = self.0.load(Ordering::Relaxed);
            ready.then_some(()).ok_or_else(|| "the dealer is away".to_owned())
        }
    }

    async fn say(address: core::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        answer
    }

    #[tokio::test]
    async fn pages() {
        let watched = Arc::new(Switch(AtomicBool::new(false)));
        let monitor = Monitor::bind("127.0.0.1:0", "version 7").await.expect("binds");
        let stop = CancellationToken::new();
        let address = monitor.local_address().expect("an address");
        let served = tokio::spawn(monitor.serve(watched.clone(), stop.clone()));
        // Who connects and says nothing takes a place, for a while, and holds up nobody.
        let silent = TcpStream::connect(address).await.expect("connects");
        let get =
            |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let said = say(address, &get("/metrics")).await;
        assert!(said.starts_with("HTTP/1.1 200") && said.contains(OPEN_METRICS), "{said}");
        assert!(said.ends_with("figures\n# EOF\n"), "{said}");
        assert!(say(address, &get("/healthz")).await.ends_with("ok\n"));
        let said = say(address, &get("/readyz")).await;
        assert!(
            said.starts_with("HTTP/1.1 503") && said.ends_with("the dealer is away\n"),
            "{said}"
        );
        watched.0.store(true, Ordering::Relaxed);
        assert!(say(address, &get("/readyz")).await.ends_with("ready\n"));
        assert!(say(address, &get("/")).await.starts_with("HTTP/1.1 404"));
        let post = get("/metrics").replace("GET", "POST");
        assert!(say(address, &post).await.starts_with("HTTP/1.1 405"));
        assert!(say(address, "what\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        let asked = ask(&address.to_string(), "/healthz").await.expect("answers");
        assert_eq!(asked, (true, "ok\n".to_owned()));
        let asked = ask(&address.to_string(), "/devices").await.expect("answers");
        assert_eq!(asked, (true, "[]".to_owned()));
        let asked = ask(&address.to_string(), "/versions").await.expect("answers");
        assert_eq!(asked, (true, "version 7\n".to_owned()));
        drop(silent);
        stop.cancel();
        served.await.expect("ends");
    }
}
