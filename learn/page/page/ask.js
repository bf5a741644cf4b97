// The door to the core: a question goes in as a line, an answer comes out as JSON.
const core = { ready: false };

async function wake() {
  const packed = Uint8Array.from(atob(document.getElementById("wasm").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  const { instance } = await WebAssembly.instantiate(bytes, {});
  Object.assign(core, instance.exports, { ready: true, place: instance.exports.room(), size: instance.exports.room_bytes() });
}

/** Asks the core: `ask("gate", { y: -5 })`. Gives its answer, or an object with the one field `error`, a sentence. */
const ask = (chapter, fields) => JSON.parse(reply(chapter, fields));

/** The same as text. */
function reply(chapter, fields) {
  const text = ([name, value]) => `${name}=${String(value).replaceAll(" ", "_")}`;
  const question = [chapter, ...Object.entries(fields).filter(([, value]) => value != null).map(text)].join(" ");
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
