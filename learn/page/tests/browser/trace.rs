//! Traces that are loaded from files.

use serde_json::{Value, json};

use super::{native, open};

/// A trace that the program has written; a test of the program holds it against what it writes.
const EXAMPLE: &str = include_str!("../../example.json");

/// `load(bytes, ..)` chooses files, `seen()` tells what is shown.
const LOAD: &str = "const $$ = (id) => document.getElementById(id);
    const settled = async () => {
      for (let i = 0; i < 1000 && $$('e-live').textContent === 'waiting'; i += 1) await soon(5);
      await ticks();
    };
    const parcel = (...files) => {
      const data = new DataTransfer();
      for (const [bytes, name] of files) data.items.add(new File([bytes], name));
      return data;
    };
    const load = async (...files) => {
      $$('e-live').textContent = 'waiting';
      $$('e-file').files = parcel(...files).files;
      $$('e-file').dispatchEvent(new Event('change'));
      await settled();
      return seen();
    };
    const texts = (which) => Array.from(document.querySelectorAll(which), (e) => e.innerText);
    const seen = () => ({ error: $$('trace-error').hidden ? '' : $$('trace-error').textContent,
      live: $$('e-live').textContent, text: $$('e-out').innerText, same: $$('e-same')?.textContent,
      sum: $$('e-sum')?.textContent, now: $$('e-now')?.innerText, options: $$('e-layer').length,
      markup: document.querySelectorAll('#e-out img, #e-out script').length,
      rungs: texts('#e-ladder label:not([hidden])'),
      phases: texts('#e-ladder fieldset:not([hidden]) h4'),
      numbers: Array.from(document.querySelectorAll('#e-out [data-n]')).filter((e) => e.dataset.n)
        .map((e) => [e.dataset.n, e.dataset.v, e.textContent]) });";

fn example() -> Value {
    serde_json::from_str(EXAMPLE).expect("JSON")
}

fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut trace = example();
    change(&mut trace);
    trace.to_string()
}

/// Every number that is shown is that of the native answer; gives how many there are.
fn compare(seen: &Value, text: &str) -> usize {
    let answer = native(&format!("trace {text}"));
    assert!(answer["error"].is_null(), "{answer}");
    assert_eq!(seen["error"], "", "{seen}");
    let numbers = seen["numbers"].as_array().expect("numbers");
    for number in numbers {
        let text = |index: usize| number[index].as_str().expect("text");
        let expected = super::at(&answer, text(0), "");
        assert_eq!(text(1), expected, "{}", text(0));
        let shown = text(2).replace(',', "").replace('−', "-");
        let shown = shown.trim_end_matches(" bytes").trim_end_matches(" byte");
        assert_eq!(shown, expected, "{} as it is shown", text(0));
    }
    numbers.len()
}

#[test]
#[ignore = "needs the page and a browser: `cargo xtask test`"]
fn a_trace_is_shown_message_by_message() {
    let one_layer = changed(|trace| {
        let messages = trace["messages"].as_array_mut().expect("messages");
        messages.retain(|message| message["layer"] == 1);
    });
    let hosts = changed(|trace| trace["answer"] = json!([]));
    let differs = changed(|trace| trace["twin"][1] = json!(-0.5));
    let hostile = changed(|trace| {
        for field in ["name", "carries", "hides"] {
            trace["messages"][0][field] = json!("<img src=x onerror=alert(1)>");
        }
        trace["model"] = json!("</script><script>alert(2)</script>");
    });
    let long = changed(|trace| {
        let values: Vec<f64> = (0..300).map(|value| f64::from(value) / 8.0).collect();
        trace["answer"] = json!(values);
        trace["twin"] = json!(values);
    });
    let traces = [EXAMPLE.to_owned(), one_layer, hosts, differs, hostile, long];
    let script = format!(
        "{LOAD}
         const out = {{ start: seen() }};
         const traces = {};
         out.seen = [];
         for (const text of traces) out.seen.push(await load([text, 'mine.json']));
         const wide = new Uint16Array([0xfeff, ...Array.from(traces[0], (c) => c.charCodeAt(0))]);
         out.wide = await load([wide, 'wide.json']);
         $$('e-layer').value = '1'; $$('e-layer').dispatchEvent(new Event('change'));
         out.layer = seen();
         $$('e-live').textContent = 'waiting';
         const drag = (kind) => !$$('e-ladder').dispatchEvent(new DragEvent(kind, {{
           dataTransfer: parcel([traces[1], 'dropped.json']), bubbles: true, cancelable: true }}));
         out.allowed = [drag('dragover'), $$('trace').classList.contains('over'), drag('drop')];
         await settled();
         out.dropped = seen();
         $$('e-example').click();
         out.again = seen();
         return out;",
        // The page ends a script at its end mark, wherever it stands.
        serde_json::to_string(&traces).expect("JSON").replace("</", "<\\/")
    );
    let out = open("trace", "trace", &script);
    // Two sums and its own bytes for each message, the phases, the values, three sums.
    assert!(compare(&out["start"], "example") > 12 * 3 + 3 * 3 + 8 + 3 - 1, "{}", out["start"]);
    assert_eq!(out["again"]["numbers"], out["start"]["numbers"]);
    for (seen, text) in out["seen"].as_array().expect("all").iter().zip(&traces) {
        assert!(compare(seen, text) > 15, "{seen}");
        assert_eq!(seen["markup"], 0, "{seen}");
        assert!(seen["live"].as_str().expect("text").starts_with("mine.json is shown."), "{seen}");
    }
    let text = |path: &[&str]| {
        let found = path.iter().fold(&out, |value, key| match key.parse::<usize>() {
            Ok(index) => &value["seen"][index],
            Err(_) => &value[key],
        });
        found.as_str().unwrap_or_else(|| panic!("{path:?}: {found}")).to_owned()
    };
    assert!(text(&["0", "same"]).contains("value for value"));
    let messages = out["seen"][0]["rungs"].as_array().expect("rungs");
    assert_eq!(messages.len(), 12);
    let phases =
        json!(["Connect", "Prepare, before there is a reading", "Online, with the reading"]);
    assert_eq!(out["seen"][0]["phases"], phases);
    assert_eq!(out["seen"][0]["options"], 4);
    let now = text(&["0", "now"]);
    let file = example();
    let (carries, hides) = (&file["messages"][0]["carries"], &file["messages"][0]["hides"]);
    for said in [carries, hides].map(|said| said.as_str().expect("text")) {
        assert!(now.contains(said), "{now}");
    }
    assert!(now.contains("53 4c 45 54 ") && now.contains("device → host, 32 bytes"), "{now}");
    assert!(text(&["0", "sum"]).contains("12 messages; the device sends 535 bytes, the host 304"));
    assert!(text(&["1", "text"]).contains("Only messages of layer 1"), "{}", out["seen"][1]);
    // It says nothing of what it has not: other phases, and sums of the session.
    let of_layer = text(&["1", "text"]);
    assert!(of_layer.contains("bytes so far of layer 1") && !of_layer.contains("added all up"));
    assert!(!of_layer.contains("Connect") && !text(&["1", "now"]).contains("so far"));
    assert!(text(&["0", "text"]).contains("Connect") && now.contains("so far"));
    assert!(text(&["2", "same"]).contains("the host's alone"));
    assert!(text(&["3", "same"]).contains("differs from the twin's"));
    assert!(text(&["4", "text"]).contains("<img src=x"), "as text: {}", out["seen"][4]);
    assert!(text(&["5", "text"]).contains("284 more"));
    compare(&out["wide"], EXAMPLE);
    assert_eq!(out["layer"]["rungs"].as_array().expect("rungs").len(), 3);
    assert_eq!(out["layer"]["phases"], json!([phases[1], phases[2]]));
    assert!(text(&["layer", "sum"]).starts_with("Layer 1: 3 messages; the device sends 200 bytes"));
    assert!(
        text(&["layer", "live"]).starts_with("Message 6, from device to host: Prepared, layer 1")
    );
    assert_eq!(out["allowed"], json!([true, true, true]));
    compare(&out["dropped"], &traces[1]);
    assert!(text(&["dropped", "live"]).starts_with("dropped.json is shown"));
}

#[test]
#[ignore = "needs the page and a browser: `cargo xtask test`"]
fn what_is_no_trace_is_said_and_no_number_shown() {
    let cut = EXAMPLE.get(..2000).expect("longer").to_owned();
    let of = |field: &'static str, value: Value| changed(move |trace| trace[field] = value);
    let of_message = |field: &'static str, value: Value| {
        changed(move |trace| trace["messages"][4][field] = value)
    };
    let without = |field: &'static str| {
        changed(move |trace| drop(trace.as_object_mut().expect("an object").remove(field)))
    };
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "The file is empty"),
        ("hello".to_owned(), "This is no JSON"),
        // What the page calls its own.
        ("example".to_owned(), "This is no JSON"),
        (cut, "This is no JSON"),
        ("A session of model.slt, a network of 3 layers.".to_owned(), "a trace as text"),
        ("[1, 2]".to_owned(), "This file is no object"),
        ("{\"a\": 1}".to_owned(), "This file has no `version`"),
        ("{\"version\": 7}".to_owned(), "version 7, and this page reads version 1. Take page and"),
        (of("layers", json!(0)), "The model is empty"),
        (of("messages", json!([])), "The trace is empty"),
        (without("twin"), "The trace has no `twin`"),
        (without("host_bytes"), "The trace has no `host_bytes`"),
        (of("answer", json!("1")), "`answer` of The trace is not a list"),
        (of("twin", json!([1, 2, 3, 3e9])), "words of 32 bits can mean"),
        (of("device_bytes", json!(534)), "contradicts itself: messages of the device have 535"),
        (of("host_bytes", json!(9_007_199_254_740_992_u64)), "a whole number below"),
        (of_message("bytes", json!(105)), "contradicts itself: messages of the device have 536"),
        (of_message("bytes", json!(-1)), "`bytes` of Message 5 is not a whole number"),
        (of_message("bytes", json!("104")), "`bytes` of Message 5 is not a whole number"),
        (of_message("layer", json!(3)), "`layer` of Message 5 is not a whole number below 3"),
        (of_message("first_bytes", json!("00")), "is not the first of them"),
        (of_message("number", json!(6)), "message 6 follows message 4"),
        (of_message("to", json!("device")), "goes to who sends it"),
    ];
    let texts: Vec<&String> = cases.iter().map(|(text, _)| text).collect();
    let script = format!(
        "{LOAD}
         const out = [];
         for (const text of {}) out.push(await load([text, 'bad.json']));
         out.push(await load([new Uint8Array(3e6), 'large.json']));
         out.push(await load(['{{}}', 'one.json'], ['{{}}', 'two.json']));
         out.push(await load([new Uint8Array([0x53, 0x4c, 0x54, 0xff, 0x00]), 'model.slt']));
         out.push($$('e-layer').disabled);
         out.push(await load([{}, 'good.json']));
         return out;",
        serde_json::to_string(&texts).expect("JSON"),
        serde_json::to_string(EXAMPLE).expect("JSON")
    );
    let out = open("traces", "trace", &script);
    let seen = out.as_array().expect("all");
    let others = ["3.0 MB, and the page reads up to 2.", "Choose one file at a time", "no JSON"];
    let expected = cases.iter().map(|(_, expected)| *expected).chain(others);
    for (seen, expected) in seen.iter().zip(expected) {
        let error = seen["error"].as_str().expect("text");
        // What is between backquotes is set in another type.
        assert!(error.contains(&expected.replace('`', "")), "{error}, not {expected}");
        assert!(seen["numbers"] == json!([]) && seen["text"] == "", "{expected}: {seen}");
    }
    assert_eq!(seen[seen.len() - 2], true, "there is no layer to choose");
    compare(&seen[seen.len() - 1], EXAMPLE);
}
