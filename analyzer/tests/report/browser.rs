//! A real browser, driven as WebDriver says: Debian's chromium by its own
//! chromedriver. Each test has its own, with an empty profile.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Failed>;

/// How long a page may take to get where a test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What WebDriver calls the keys that have no character.
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const RIGHT: &str = "\u{e014}";
pub(crate) const DOWN: &str = "\u{e015}";

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
];

/// Why there is no browser; `None` if there is one.
pub(crate) fn obstacle() -> Option<String> {
    let is_there = |program: &str| {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    let missing = ["chromium", "chromedriver"]
        .into_iter()
        .find(|program| !is_there(program));
    missing.map(|program| format!("{program} is not installed"))
}

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    /// Where commands go, below the driver.
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one, with a window of this size.
    pub(crate) fn start(width: u32, height: u32) -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let Some(port) = driver.stdout.take().and_then(port) else {
            let _ = driver.kill();
            return Err("chromedriver does not say its port".into());
        };
        let profile = tempfile::tempdir()?;
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).into()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--window-size={width},{height}"));
        let mut this = Self {
            driver,
            port,
            session: "/session".into(),
            _profile: profile,
        };
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = this.post("", &wanted)?;
        let id = made["sessionId"].as_str().ok_or("no session")?;
        this.session = format!("{}/{id}", this.session);
        Ok(this)
    }

    /// Opens a file and waits until the page says that it is there.
    pub(crate) fn open(&self, file: &Path) -> Result<()> {
        let url = format!("file://{}", file.display());
        self.post("/url", &json!({"url": url}))?;
        Ok(())
    }

    /// Runs a script and gives what it returns.
    pub(crate) fn run(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// What an expression is worth, as text.
    pub(crate) fn text(&self, expression: &str) -> Result<String> {
        let value = self.run(&format!("return String({expression})"))?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&self, expression: &str) -> Result<()> {
        let begin = Instant::now();
        while self.text(&format!("!!({expression})"))? != "true" {
            if begin.elapsed() > PATIENCE {
                let page = self.text("document.body.innerText.slice(0, 3000)")?;
                return Err(format!("it never came to this: {expression}\n{page}").into());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// Presses and releases keys, one after the other.
    pub(crate) fn keys(&self, keys: &str) -> Result<()> {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.post("/actions", &json!({"actions": [keyboard]}))?;
        Ok(())
    }

    /// Clicks at a place of the page, with a real pointer.
    pub(crate) fn click_at(&self, x: i64, y: i64) -> Result<()> {
        let actions = json!([
            {"type": "pointerMove", "duration": 0, "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        let mouse = json!({"type": "pointer", "id": "mouse", "actions": actions});
        self.post("/actions", &json!({"actions": [mouse]}))?;
        Ok(())
    }

    /// Clicks in the middle of the element that an expression names.
    pub(crate) fn click(&self, element: &str) -> Result<()> {
        self.wait(element)?;
        let middle = self.run(&format!(
            "const box = ({element}).getBoundingClientRect(); \
             return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]"
        ))?;
        let at = |i: usize| middle[i].as_i64().unwrap_or_default();
        self.click_at(at(0), at(1))
    }

    /// What the browser complained of since it was asked before.
    pub(crate) fn complaints(&self) -> Result<Vec<String>> {
        let log = self.post("/se/log", &json!({"type": "browser"}))?;
        let all = log.as_array().cloned().unwrap_or_default();
        Ok(all
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect())
    }

    /// Shows the page as it would be printed.
    pub(crate) fn as_on_paper(&self) -> Result<()> {
        let media = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}});
        self.post("/goog/cdp/execute", &media)?;
        Ok(())
    }

    /// Prints the page, as PDF on A4.
    pub(crate) fn print(&self) -> Result<Vec<u8>> {
        use base64::Engine as _;
        let paper = json!({"page": {"width": 21.0, "height": 29.7}});
        let pdf = self.post("/print", &paper)?;
        let pdf = pdf.as_str().unwrap_or_default();
        Ok(base64::engine::general_purpose::STANDARD.decode(pdf)?)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, &body.to_string())
    }

    /// One request and its answer. A driver on this host needs no more of HTTP.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE * 2))?;
        write!(
            stream,
            "{method} {}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.session,
            body.len()
        )?;
        let content = content(stream)?;
        let mut answer: Value = serde_json::from_slice(&content)?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!("{path}: {error}: {}", value["message"]).into()),
            None => Ok(value),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.ask("DELETE", "", "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What a response holds. The driver leaves the connection open after it.
fn content(stream: TcpStream) -> Result<Vec<u8>> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content)?;
    Ok(content)
}

/// The port that the driver chose, which it prints; what it prints later is
/// read and dropped, or its pipe would fill.
fn port(stdout: std::process::ChildStdout) -> Option<u16> {
    let mut lines = BufReader::new(stdout).lines();
    let port = lines.by_ref().find_map(|line| {
        let line = line.ok()?;
        let (_, after) = line.rsplit_once("successfully on port ")?;
        after.trim_end_matches('.').parse().ok()
    });
    std::thread::spawn(move || lines.for_each(drop));
    port
}
