// A whole session of the built-in network.
const network = { seed: seed(), model: null, change: null, error: null };

const NETWORK = {
  connect: "@{core/src/session/p0.rs|pub async fn connect<}",
  prepare: "@{core/src/session/p0.rs|pub async fn prepare<}",
  infer: "@{core/src/session/p0.rs|pub async fn infer(}",
  twin: "@{core/src/session/network.rs|pub fn twin<'v>(}",
  counting: "@{core/src/transport.rs|pub struct Counting}",
};

function networkStart() {
  $("n-reading").append(...Array.from({ length: 12 }, (_, index) => make("option", { value: index }, `number ${index}`)));
  $("n-reading").value = given("reading", 6);
  $("n-place").append(...Array.from({ length: 27 }, (_, index) => make("option", { value: index }, String(index))));
  const phases = make("tbody");
  const messages = make("tbody");
  const outputs = make("tbody");
  const chain = make("div", { class: "chain" });
  const said = make("p", { id: "n-said", "aria-live": "polite" });
  $("n-out").append(
    make("h3", {}, "The network"), chain,
    make("h3", {}, "The answer"), said, table("The answer", head("output", "", "private word", "twin"), outputs),
    make("h3", {}, "What it took"), table("Bytes and round trips", head("phase", "bytes up", "bytes down", "round trips"), phases),
    make("h3", {}, "Every message"), table("Every message", head("who", "what", "bytes", "what hides it"), messages),
    question("Another reading is put in. What does the length of the messages tell the host?",
      ["How large the values are.", "Nothing: every length follows from the network's shape."],
      () => {
        const lengths = [0, 3, 9].map((reading) => ask("network", { reading, seed: network.seed }));
        const bad = lengths.find((answer) => answer.error);
        if (bad) return bad;
        const texts = lengths.map((answer) => answer.messages.map((message) => message.bytes).join(", "));
        return { index: texts.every((text) => text === texts[0]) ? 1 : 0, text: texts[0] };
      },
      ({ text }) => `The core has just run readings 0, 3 and 9. The lengths were ${text}, each time.`),
    make("p", { class: "note", style: "margin-top:1.6rem" }, "The session runs in this tab: device and host are two tasks of the core, the line between them is memory. ", source(NETWORK.connect), " ", source(NETWORK.prepare), " ", source(NETWORK.infer), " ", source(NETWORK.counting), " ", source(NETWORK.twin)));

  const draw = eachFrame(() => {
    const answer = network.error ? { error: network.error } : ask("network", { reading: $("n-reading").value, place: network.change?.[0], value: network.change?.[1], model: network.model, seed: network.seed });
    const bad = failed("network", answer);
    $("n-out").classList.toggle("stale", bad);
    if (bad) {
      for (const body of [phases, messages, outputs]) body.replaceChildren();
      chain.replaceChildren();
      said.textContent = "";
      return;
    }
    const place = Number($("n-place").value);
    if ($("n-place").length !== answer.reading.length) {
      $("n-place").replaceChildren(...answer.reading.map((_, index) => make("option", { value: index }, String(index))));
    }
    $("n-value").value = Math.round((answer.reading[place] ?? 0) * 1000);
    $("n-value-o").textContent = signed((answer.reading[place] ?? 0).toFixed(2));
    chain.replaceChildren(make("span", {}, String(answer.layers[0].inputs)), ...answer.layers.flatMap((layer) => [
      make("em", {}, `${layer.weights.toLocaleString("en")} weights${layer.relu ? `, ReLU of ${layer.gate_bits} bits, drops ${layer.shift}` : ""} →`), make("span", {}, String(layer.outputs))]));
    const names = ["greeting", "preparing, before there is a reading", "with the reading"];
    phases.replaceChildren(...answer.phases.map((phase, index) => row(cellOf(names[index]), num(phase.up, `phases.${index}.up`), num(phase.down, `phases.${index}.down`), num(phase.rounds, `phases.${index}.rounds`))),
      row(cellOf("from the dealer, ahead"), num("", ""), num(answer.dealer_bytes, "dealer_bytes"), num("", "")),
      row(cellOf("what the device stores: a key"), num(answer.key_bytes, "key_bytes"), num("", ""), num("", "")));
    messages.replaceChildren(...answer.messages.map((message, index) => row(
      cellOf(message.from ? "← host" : "device →", { class: `dir${message.from}` }),
      cellOf(message.frames.map(([kind, layer]) => `${kind}${/Prepared|Input|Gate|Output/.test(kind) ? ` ${layer}` : ""}`).join(", ")),
      num(message.bytes, `messages.${index}.bytes`), cellOf(message.hides))));
    const most = Math.max(...answer.outputs.map((output) => Math.abs(output.word)), 1);
    outputs.replaceChildren(...answer.outputs.map((output, index) => {
      const bar = make("i", { style: `width:${(Math.max(output.word, 0) / most) * 100}%` });
      const line = row(cellOf(output.label), make("td", {}, make("div", { class: "meter" }, bar)), num(output.word, `outputs.${index}.word`), num(output.twin, `outputs.${index}.twin`));
      line.className = index === answer.largest ? "win" : "";
      return line;
    }));
    said.textContent = `The device learns: ${answer.outputs[answer.largest].label}. `
      + (answer.exact ? "Every word is the plaintext twin's, bit for bit. " : "The words differ from the twin's: this must not happen. ")
      + (answer.truth ? `What the machine did: ${answer.truth}.` : "");
    $("n-out").dataset.exact = answer.exact;
  });
  const forget = () => { network.change = null; draw(); };
  $("n-reading").addEventListener("change", forget);
  $("n-reset").addEventListener("click", () => { network.model = network.error = null; $("n-file").value = ""; forget(); });
  $("n-place").addEventListener("change", forget);
  $("n-value").addEventListener("input", () => { network.change = [Number($("n-place").value), Number($("n-value").value)]; draw(); });
  $("n-file").addEventListener("change", async () => {
    const file = $("n-file").files[0];
    if (!file) return;
    // Each change runs a whole session.
    network.error = file.size > 131072 ? `The model has ${Math.ceil(file.size / 1024)} KB, and the page runs networks of up to 128: \`sharelet explain\` shows a larger one.` : null;
    if (network.error) return forget();
    const bytes = new Uint8Array(await file.arrayBuffer());
    network.model = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    forget();
  });
  draw();
}
