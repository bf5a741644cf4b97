//! A session, message by message.

use sharelet_testkit::processes::Programs;
use sharelet_testkit::room::{random_model, random_readings};
use sharelet_testkit::{printed_seed, rng};

#[test]
fn a_session_is_walked_through() {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    let model = random_model(&[6, 40, 5], &mut rng);
    model.save(&room.path("model.slt")).unwrap();
    random_readings(&model, 5, &mut rng).save_npy(&room.path("readings.npy")).unwrap();
    let twin = room.works("twin model.slt --inputs readings.npy --json").out;
    let twin: serde_json::Value = serde_json::from_str(twin.lines().nth(2).unwrap()).unwrap();
    let line = "explain model.slt --inputs readings.npy --reading 2";
    let said = room.works(&format!("{line} --json")).out;
    let session: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(session["version"], 1);
    assert_eq!((&session["answer"], &session["twin"]), (&twin["values"], &twin["values"]));
    let messages = session["messages"].as_array().unwrap();
    let names: Vec<&str> = messages.iter().map(|of| of["name"].as_str().unwrap()).collect();
    let expected =
        ["Hello", "Welcome", "Request", "Grant", "Prepared", "Input", "Gate", "Input", "Answer"];
    assert_eq!(names, expected);
    // d = x - r: a word for each value; the answer: a word for each output.
    assert_eq!((&messages[5]["bytes"], &messages[8]["bytes"]), (&24.into(), &20.into()));
    let sum = |side: &str| -> u64 {
        let own = messages.iter().filter(|of| of["from"] == side);
        own.map(|of| of["bytes"].as_u64().unwrap()).sum()
    };
    assert_eq!(session["device_bytes"], sum("device"));
    assert_eq!(session["host_bytes"], sum("host"));

    let text = room.works(&format!("{line} --layer 0")).out;
    for said in
        ["d = x - r", "z, the sum of the layer", "bit for bit the twin's", "Layer 0: 6 values"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("Hello") && !text.contains("Answer"), "{text}");
    let text = room.works("explain model.slt --answer host").out;
    assert!(text.contains("the host's alone") && text.contains("Output 1"), "{text}");
    room.refuses(&format!("{line} --layer 2"), 2, "the model has 2 layers");
    room.refuses("explain model.slt --inputs readings.npy --reading 5", 2, "there are 5");
    room.refuses("explain readings.npy", 1, "not a sharelet model");
}

/// The page to learn from has a trace of the demo's model in it. It is of the version that is
/// written now, and but for what is masked every field is the same.
#[test]
fn the_trace_of_the_page_is_what_is_written_now() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let kept = std::fs::read_to_string(format!("{root}/learn/page/example.json")).unwrap();
    let model = format!("{root}/demo/vibration.slt --inputs {root}/demo/windows.npy");
    let written = room.works(&format!("explain {model} --reading 6 --json")).out;
    let comparable = |text: &str| {
        let mut trace: serde_json::Value = serde_json::from_str(text).unwrap();
        trace["model"] = "demo/vibration.slt".into();
        let messages = trace["messages"].as_array_mut().unwrap();
        for message in messages.iter_mut().skip(1) {
            let first = message["first_bytes"].as_str().unwrap().len();
            message["first_bytes"] = first.into();
        }
        trace
    };
    let how = "cargo run -p sharelet-cli -- explain demo/vibration.slt --inputs demo/windows.npy \
               --reading 6 --json > learn/page/example.json";
    assert_eq!(comparable(&kept), comparable(&written), "learn/page/example.json is old: {how}");
    assert!(kept.contains("\"model\":\"demo/vibration.slt\""), "made elsewhere: {how}");
}
