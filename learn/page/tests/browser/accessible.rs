//! What a screen reader gets of the page, what keys do, and whether a phone and a dark screen show
//! it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::devtools::Page;

const DESK: [u32; 2] = [1280, 900];
const PHONE: [u32; 2] = [360, 740];

/// A node of the tree: role, name, and heading level.
struct Node {
    role: String,
    name: String,
    level: u64,
}

/// The nodes in the order in which they are read. What is off screen is laid out, too.
fn tree(page: &mut Page) -> Vec<Node> {
    page.run(
        "(() => { const all = document.createElement('style'); \
         all.textContent = '* { content-visibility: visible !important }'; \
         document.head.append(all); })()",
    );
    let answer = page.ask("Accessibility.getFullAXTree", &json!({}));
    let nodes = answer["nodes"].as_array().expect("nodes");
    let by_id: HashMap<&str, &Value> =
        nodes.iter().map(|node| (node["nodeId"].as_str().expect("an id"), node)).collect();
    let mut rest = vec![nodes.first().expect("a root")];
    let mut read = Vec::new();
    while let Some(node) = rest.pop() {
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().trim().to_owned();
        let level = node["properties"].as_array().and_then(|properties| {
            let level = properties.iter().find(|property| property["name"] == "level")?;
            level["value"]["value"].as_u64()
        });
        if node["ignored"] != true {
            let (role, name) = (text(&node["role"]), text(&node["name"]));
            read.push(Node { role, name, level: level.unwrap_or(0) });
        }
        let children = node["childIds"].as_array().map(Vec::as_slice).unwrap_or_default();
        rest.extend(children.iter().rev().filter_map(|id| by_id.get(id.as_str()?).copied()));
    }
    read
}

#[test]
#[ignore = "needs the page and a browser: `cargo xtask test`"]
fn a_screen_reader_finds_names_headings_and_chapters() {
    let mut page = Page::open("tree", "gate", DESK, false);
    let nodes = tree(&mut page);
    let named = [
        "button",
        "textbox",
        "slider",
        "combobox",
        "checkbox",
        "radio",
        "link",
        "image",
        "group",
        "radiogroup",
        "region",
        "navigation",
        "table",
        "heading",
        "application",
    ];
    let mut count = 0;
    let mut level = 0;
    for Node { role, name, level: own } in &nodes {
        if named.contains(&role.as_str()) {
            assert!(!name.is_empty(), "a {role} has no name");
            count += 1;
        }
        if role == "heading" {
            assert!(*own <= level + 1, "\"{name}\" is a heading of level {own} below {level}");
            level = *own;
        }
        // Each would be read aloud at every change, of which there are hundreds while one drags.
        assert!(role != "status" && role != "log", "{name} is a live region by its role");
    }
    assert!(count > 300, "{count} names");
    let of = |role: &str| nodes.iter().filter(|node| node.role == role).collect::<Vec<_>>();
    assert_eq!(of("heading").iter().filter(|node| node.level == 1).count(), 1);
    for landmark in ["banner", "navigation", "main", "contentinfo"] {
        assert_eq!(of(landmark).len(), 1, "{landmark}");
    }
    let regions: Vec<&str> = of("region").iter().map(|node| node.name.as_str()).collect();
    let chapters = page.run(
        "Array.from(document.querySelectorAll('main > section'), (e) => \
         [e.querySelector('h2').textContent, e.querySelectorAll('[role=alert]').length, \
         e.querySelectorAll('[aria-live]').length])",
    );
    let chapters = chapters.as_array().expect("chapters");
    assert_eq!(chapters.len(), 9);
    for chapter in chapters {
        let name = chapter[0].as_str().expect("a heading");
        assert!(regions.contains(&name), "{name} is no region: {regions:?}");
        assert!(chapter[1] == 1 && chapter[2].as_u64() > Some(0), "{chapter} says nothing aloud");
    }
    let links = page.run(
        "Array.from(document.querySelectorAll('nav a'), (a) => \
         [document.querySelector(a.hash)?.querySelector('h2').textContent, a.textContent])",
    );
    let links = links.as_array().expect("links");
    assert!(links.len() == 9 && links.iter().all(|link| link[0] == link[1]), "{links:?}");
}

/// Arrow keys go from message to message, the tabulator to the buttons; and each is told.
#[test]
#[ignore = "needs the page and a browser: `cargo xtask test`"]
fn keys_step_through_the_messages() {
    let mut page = Page::open("steps", "trace", DESK, false);
    page.run("document.querySelector('#e-ladder input').focus()");
    let state = "[document.querySelector('#e-ladder input:checked').value, \
        document.getElementById('e-live').textContent, document.activeElement.id || \
        document.activeElement.value, document.querySelector('#e-now h4').textContent]";
    for (key, code, at, said) in [
        ("ArrowDown", 40, "1", "Message 2, from host to device: Welcome, 100 bytes. It carries"),
        ("ArrowDown", 40, "2", "Message 3, from device to host: Request, 17 bytes."),
        ("ArrowUp", 38, "1", "Message 2,"),
        ("ArrowUp", 38, "0", "Message 1, from device to host: Hello, 32 bytes."),
        // Round to the last one.
        ("ArrowUp", 38, "11", "Message 12, from host to device: Answer, layer 2, 16 bytes."),
    ] {
        page.press(key, code);
        let now = page.run(state);
        assert!(now[0] == at && now[2] == at, "{key}: {now}");
        assert!(now[1].as_str().expect("text").starts_with(said), "{key}: {now}");
    }
    // Only messages that are shown.
    page.run(
        "(() => { const layer = document.getElementById('e-layer'); layer.value = '1'; \
        layer.dispatchEvent(new Event('change')); })()",
    );
    page.run("document.querySelector('#e-ladder input:checked').focus()");
    let shown = ["5", "8", "9"];
    for at in shown.iter().cycle().skip(1).take(4) {
        page.press("ArrowDown", 40);
        assert_eq!(page.run(state)[0], *at);
    }
    // At either end a button has nothing to do, and what had the focus is not lost.
    page.run("document.querySelector('#e-ladder label:not([hidden]) input').click()");
    for (button, at, focus) in [("e-Next", "8", "e-Next"), ("e-Next", "9", "9")] {
        page.run(&format!("document.getElementById('{button}').focus()"));
        page.run(&format!("document.getElementById('{button}').click()"));
        let now = page.run(state);
        assert!(now[0] == at && now[2] == focus, "{now}");
    }
    assert_eq!(page.run("document.getElementById('e-Next').disabled"), true);
    assert_eq!(page.run("document.documentElement.dataset.broken || ''"), "");
}

/// Nothing is wider than a small phone but what scrolls by itself, and texts have at least the
/// contrast of 4.5 to 1 on each ground that they stand on, by day and by night.
#[test]
#[ignore = "needs the page and a browser: `cargo xtask test`"]
fn a_phone_and_a_dark_screen_show_it() {
    for (screen, dark) in [(PHONE, false), (DESK, false), (PHONE, true), (DESK, true)] {
        let mut page = Page::open("screens", "trace", screen, dark);
        tree(&mut page);
        let wide = page.run(
            "[document.documentElement.scrollWidth, Array.from(document.querySelectorAll('body \
             *')).filter((e) => e.getBoundingClientRect().right > \
             document.documentElement.clientWidth + 1 && !e.closest('.scroll, .skip, \
             option')).map((e) => e.outerHTML.slice(0, 200))]",
        );
        assert_eq!(wide[1], json!([]), "{screen:?}");
        assert!(wide[0].as_u64() <= Some(screen[0].into()), "{screen:?}: {wide}");
        let contrasts = page.run(
            "(() => {
             const colour = (name) => {
               const text = getComputedStyle(document.documentElement).getPropertyValue(name);
               return [1, 3, 5].map((at) => parseInt(text.trim().slice(at, at + 2), 16) / 255);
             };
             const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
             const light = (name) => colour(name).map(linear).reduce(
               (sum, c, index) => sum + [.2126, .7152, .0722][index] * c, 0);
             const texts = ['--ink', '--soft', '--p0', '--p1', '--d', '--open', '--bad'];
             const plain = texts.flatMap((text) =>
               ['--paper', '--card'].map((ground) => [text, ground]));
             const pairs = plain.concat([['--ink', '--faint'], \
               ['--soft', '--faint'], ['--open', '--faint'], ['--bad', '--faint'], \
               ['--p0', '--p0-wash'], ['--p1', '--p1-wash'], ['--bad', '--bad-wash'], \
               ['--ink', '--open-wash'], ['--soft', '--open-wash'], ['--paper', '--ink'], \
               ['--paper', '--p0'], ['--paper', '--p1'], ['--paper', '--d'], \
               ['--paper', '--open']]);
             return pairs.map(([a, b]) => {
               const [low, high] = [light(a), light(b)].sort((a, b) => a - b);
               return [a, b, (high + .05) / (low + .05)];
             });
             })()",
        );
        for pair in contrasts.as_array().expect("pairs") {
            assert!(pair[2].as_f64() >= Some(4.5), "dark {dark}: {pair}");
        }
        let ground = page.run("getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground == "rgb(20, 23, 26)", dark, "{ground}");
    }
}
