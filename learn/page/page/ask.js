// The door to the core: a question goes in as a line, an answer comes out as JSON.
const core = { ready: false };

async function wake() {
  const stream = new Blob([unpack(document.getElementById("wasm").textContent.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  const { instance } = await WebAssembly.instantiate(bytes, {});
  Object.assign(core, instance.exports, { ready: true, place: instance.exports.room(), size: instance.exports.room_bytes() });
}

/** Bytes of a text in base 85, as `xtask/src/learn.rs` writes it. */
function unpack(text) {
  const bytes = new DataView(new ArrayBuffer(Math.ceil(text.length / 5) * 4));
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (let place = at; place < at + 5; place += 1) {
      const letter = place < text.length ? text.charCodeAt(place) : 124;
      word = word * 85 + (letter === 125 ? 60 : letter) - 40;
    }
    bytes.setUint32((at / 5) * 4, word);
  }
  return new Uint8Array(bytes.buffer, 0, Math.floor((text.length * 4) / 5));
}

/** Asks the core: `ask("gate", { y: -5 })`. Gives its answer, or an object with the one field `error`, a sentence. */
const ask = (chapter, fields) => JSON.parse(reply(chapter, fields));

/** The same as text. */
function reply(chapter, fields) {
  const text = ([name, value]) => `${name}=${String(value).replaceAll(" ", "_")}`;
  return tell([chapter, ...Object.entries(fields).filter(([, value]) => value != null).map(text)].join(" "));
}

/** The answer to a question as it stands. */
function tell(question) {
  const bytes = new TextEncoder().encode(question);
  if (bytes.length > core.size) return JSON.stringify({ error: "This is more than the page has room for: choose a smaller file." });
  // Memory may have grown, and moved: it is looked at anew every time.
  new Uint8Array(core.memory.buffer, core.place, bytes.length).set(bytes);
  const length = core.ask(bytes.length);
  return new TextDecoder().decode(new Uint8Array(core.memory.buffer, core.place, length));
}

/** 32 bytes of the browser's randomness. */
function newSeed() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The same question for the same address: `#gate?y=-5&shift=2&seed=..`. */
const asked = new URLSearchParams(location.hash.split("?")[1] || "");
const seed = () => asked.get("seed") || newSeed();
const given = (name, otherwise) => asked.has(name) ? Number(asked.get(name)) : otherwise;
