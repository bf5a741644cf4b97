//! A browser that is asked over its protocol for tools: for what a script in the page cannot see or
//! do, the tree that a screen reader gets, keys, other screens.

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use super::{ALONE, Browser, browser, copy};

/// A page in a browser, and the pipe to it.
pub struct Page {
    // Ends with this.
    _browser: Browser,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    asked: u64,
}

impl Page {
    /// Opens the page at `address` on a screen of this width and height, dark or light.
    pub fn open(name: &str, address: &str, screen: [u32; 2], dark: bool) -> Self {
        let file = copy(name, "");
        let browser = browser();
        // The browser reads file 3 and writes file 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1", &browser])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", file.with_file_name("tools").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{browser}: {error}; {ALONE}"));
        let questions = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let browser = Browser(child);
        let mut page = Self { _browser: browser, questions, answers, session: None, asked: 0 };
        let targets = page.ask("Target.getTargets", &json!({}));
        let targets = targets["targetInfos"].as_array().expect("targets");
        let target = targets.iter().find(|target| target["type"] == "page").expect("a page");
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.ask("Target.attachToTarget", &attach);
        page.session = session["sessionId"].as_str().map(str::to_owned);
        let [width, height] = screen;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        page.ask("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        page.ask("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let address = format!("file://{}#{address}", file.display());
        page.ask("Page.navigate", &json!({ "url": address }));
        let complete = "Boolean(document.documentElement?.dataset.complete)";
        for _ in 0..2400 {
            if page.run(complete) == true {
                return page;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{name}: the page is not complete");
    }

    /// What the browser answers.
    pub fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut question = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            question["sessionId"] = json!(session);
        }
        self.questions.write_all(format!("{question}\0").as_bytes()).expect("a browser");
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).expect("a browser");
            assert_eq!(answer.pop(), Some(0), "the browser has ended");
            let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// The value of a script.
    pub fn run(&mut self, script: &str) -> Value {
        let parameters =
            json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.ask("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].take()
    }

    /// A key, pressed and released, and a frame for what it does.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.ask("Input.dispatchKeyEvent", &event);
        }
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }
}
