// A session that `sharelet explain` has recorded. What a file says is set as text, and as nothing else.
const trace = { run: 0, answer: null };

const TRACE = {
  session: "@{std-host/host/src/trace.rs|pub async fn session(model: &Model}",
  meaning: "@{std-host/cli/src/explain.rs|fn meaning(message: &Message)}",
  read: "@{learn/page/src/trace.rs|pub fn answer(text: &str)}",
};
const PHASES = ["Connect", "Prepare, before there is a reading", "Online, with the reading"];
const ENDS = ["device", "host"];
/** Values of an answer that have a row. */
const ROWS = 16;

function traceStart() {
  const live = $("e-live");
  const layers = $("e-layer");
  const bytes = (count) => `${count.toLocaleString("en")} ${count === 1 ? "byte" : "bytes"}`;
  const both = ({ messages, bytes: [device, host] }) => `${messages} ${messages === 1 ? "message" : "messages"}; the device sends ${bytes(device)}, the host ${bytes(host)}.`;
  const title = ({ name, layer }) => layer === null ? name : `${name}, layer ${layer}`;
  const sum = make("p", { id: "e-sum", "aria-live": "polite" });
  const now = make("div", { class: "now", id: "e-now", role: "group", "aria-label": "The message" });
  const radios = () => Array.from(document.querySelectorAll("#e-ladder label:not([hidden]) input"));

  /** One message of the ladder: a choice, so that arrow keys step through. */
  const rung = (message, index) => {
    const end = (side) => make("span", { class: `sum${side === message.from ? " grew" : ""}`, "data-n": `messages.${index}.so_far.${side}`, "data-v": message.so_far[side], "aria-hidden": "true" }, message.so_far[side].toLocaleString("en"));
    const label = make("label", { class: `rung m${message.from}`, "data-layer": message.layer },
      make("input", { type: "radio", name: "e-m", value: index }), end(0),
      make("span", { class: "line" }, make("b", {}, `${message.number} ${title(message)}`), make("span", { class: "sr" }, `, ${ENDS[message.from]} to ${ENDS[1 - message.from]}, `),
        make("span", { class: "f", "data-n": `messages.${index}.bytes`, "data-v": message.bytes }, bytes(message.bytes)), make("i")), end(1));
    label.firstChild.addEventListener("change", () => choose(message, index));
    return label;
  };

  function choose(message, index) {
    const [from, to] = message.from ? ["host", "device"] : ENDS;
    const list = radios();
    const at = list.findIndex((radio) => Number(radio.value) === index);
    const turn = (name, by) => {
      const button = make("button", { type: "button", id: `e-${name}`, disabled: !list[at + by] }, name, make("span", { class: "sr" }, " message"));
      button.addEventListener("click", () => {
        list[at + by].click();
        // The button is a new one.
        const same = $(`e-${name}`);
        (same.disabled ? list[at + by] : same).focus({ preventScroll: true });
      });
      return button;
    };
    const fact = (name, ...what) => [make("dt", {}, name), make("dd", {}, ...what)];
    now.className = `now m${message.from}`;
    now.replaceChildren(
      make("h4", {}, `${message.number} ${title(message)}`), make("p", {}, `${from} → ${to}, ${bytes(message.bytes)}`),
      make("dl", {}, ...fact("carries", message.carries), ...fact("hides", message.hides),
        ...fact("begins", message.first_bytes ? make("span", { class: "hex" }, message.first_bytes.replace(/../g, "$& ").trim()) : "it is empty"),
        ...(trace.answer.only === null ? fact("so far", `device ${bytes(message.so_far[0])}, host ${bytes(message.so_far[1])}`) : [])),
      make("div", { class: "go" }, turn("Previous", -1), turn("Next", 1)));
    live.textContent = `Message ${message.number}, from ${from} to ${to}: ${title(message)}, ${bytes(message.bytes)}. It carries ${message.carries}. It hides ${message.hides}.`;
  }

  /** Only a layer's messages, or all. */
  function filter() {
    const { answer } = trace;
    const layer = layers.value;
    for (const rung of document.querySelectorAll("#e-ladder label")) rung.hidden = layer !== "" && rung.dataset.layer !== layer;
    for (const phase of document.querySelectorAll("#e-ladder fieldset")) phase.hidden = !phase.querySelector("label:not([hidden])");
    sum.textContent = layer === "" ? `${answer.only === null ? "All" : `Layer ${answer.only}`}: ${both({ messages: answer.messages.length, bytes: answer.messages.at(-1).so_far })}` : `Layer ${layer}: ${both(answer.by_layer[layer])}`;
    const list = radios();
    (list.find((radio) => radio.checked) || list[0]).checked = true;
    const { value } = list.find((radio) => radio.checked);
    choose(answer.messages[value], Number(value));
  }

  /** Shows a trace; `name` is what it is called here. */
  function open(text, name) {
    const answer = JSON.parse(tell(`trace ${text}`));
    const bad = failed("trace", answer);
    trace.answer = bad ? null : answer;
    layers.disabled = bad;
    layers.replaceChildren(make("option", { value: "" }, "all"));
    live.textContent = "";
    if (bad) return $("e-out").replaceChildren();
    answer.by_layer.forEach((of, layer) => of.messages && layers.append(make("option", { value: layer }, `layer ${layer}`)));
    const ladder = make("div", { id: "e-ladder", role: "radiogroup", "aria-label": "Messages between device and host" },
      make("div", { class: "rung ends", "aria-hidden": "true" }, make("b", { class: "p0" }, "device"), make("span", {}, answer.only === null ? "bytes so far, on either side" : `bytes so far of layer ${answer.only}, on either side`), make("b", { class: "p1" }, "host")));
    PHASES.forEach((phase, number) => {
      const rungs = answer.messages.map((message, index) => message.phase === number && rung(message, index)).filter(Boolean);
      if (rungs.length) ladder.append(make("fieldset", {}, make("legend", {}, make("h4", {}, phase)), ...rungs));
    });
    const same = { true: "It is the plaintext twin's, value for value.", false: "It differs from the twin's: this must not happen. Please report the model.", null: "It is the host's alone; the device has learned nothing." }[answer.same];
    const values = answer.twin.slice(0, ROWS).map((twin, index) => row(cellOf(`value ${index}`), num(answer.answer[index] ?? "", answer.same === null ? "" : `answer.${index}`), num(twin, `twin.${index}`)));
    const more = answer.twin.length - values.length;
    // Of one layer's messages nothing is known of the other phases.
    const phases = answer.phases.map(({ messages, bytes: [device, host] }, phase) => (answer.only === null || messages > 0) && row(cellOf(answer.only === null ? PHASES[phase] : `${PHASES[phase]}: layer ${answer.only}`), num(messages, `phases.${phase}.messages`), num(device, `phases.${phase}.bytes.0`), num(host, `phases.${phase}.bytes.1`))).filter(Boolean);
    const whole = answer.only === null ? "The messages add up to what the trace states." : `Only messages of layer ${answer.only} are in the trace. The whole session takes more:`;
    $("e-out").replaceChildren(
      make("h3", {}, name), make("p", {}, "The model is ", make("span", { class: "f path" }, answer.model), `, a network of ${answer.layers} ${answer.layers === 1 ? "layer" : "layers"}.`), sum,
      make("div", { class: "walk" }, ladder, now),
      make("h3", {}, "The answer"), make("p", { id: "e-same", class: answer.same === false ? "alert" : false }, same), table("The answer of the trace", head("", "answer", "twin"), make("tbody", {}, ...values)),
      ...(more > 0 ? [make("p", { class: "note" }, `The trace has ${more.toLocaleString("en")} more, which are compared as well.`)] : []),
      make("h3", {}, "What it took"), make("p", {}, whole),
      table("Bytes of the trace", head("phase", "messages", "bytes up", "bytes down"), make("tbody", {}, ...phases,
        row(cellOf("the whole session"), num("", ""), num(answer.stated[0], "stated.0"), num(answer.stated[1], "stated.1")),
        row(cellOf("from the dealer to the host, ahead"), num("", ""), num("", ""), num(answer.dealt_bytes, "dealt_bytes")))),
      make("p", { class: "note" }, `Not counted are the headers of frames, ${answer.header_bytes} bytes each. ${answer.only === null ? "The page has added all up itself, and refuses" : "The page refuses"} a trace that contradicts itself. `, source(TRACE.session), " ", source(TRACE.meaning), " ", source(TRACE.read)));
    filter();
    live.textContent = `${name} is shown. ${sum.textContent} ${same}`;
  }

  async function load(files) {
    const run = trace.run += 1;
    const [file] = files;
    let text = "";
    let error = files.length === 1 ? "" : "Choose one file at a time.";
    if (!error && file.size > core.size / 2) error = `The file has ${(file.size / 1e6).toFixed(1)} MB, and the page reads up to ${Math.floor(core.size / 2e6)}. A trace is smaller: choose a file that \`sharelet explain MODEL.slt --json\` has written.`;
    try {
      const read = error ? new Uint8Array() : new Uint8Array(await file.arrayBuffer());
      // Some shells write what a program prints in words of two bytes.
      text = new TextDecoder(read[0] === 255 && read[1] === 254 ? "utf-16le" : "utf-8").decode(read);
    } catch (why) {
      error = `The file cannot be read: ${why.message}`;
    }
    if (run !== trace.run) return;
    // The page's own example has that name.
    if (!error) return open(text === "example" ? "example." : text, file.name);
    open("", "");
    failed("trace", { error });
  }

  const chapter = $("trace");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    chapter.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      chapter.classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      $("e-file").value = "";
      load(event.dataTransfer.files);
    });
  }
  const example = () => { trace.run += 1; open("example", "The example: reading 6 of the built-in network"); };
  $("e-file").addEventListener("click", () => { $("e-file").value = ""; });
  $("e-file").addEventListener("change", () => { if ($("e-file").files.length) load($("e-file").files); });
  $("e-example").addEventListener("click", () => { $("e-file").value = ""; example(); });
  layers.addEventListener("change", filter);
  example();
  live.textContent = "";
  chapter.append(question("The example's model and reading are traced once more, with other keys. What changes?",
    ["The lengths of the messages.", "Whatever is masked; lengths and answer stay.", "The answer, a little."],
    () => {
      const [one, two] = [newSeed(), newSeed()].map((seed) => ask("network", { reading: 6, seed }));
      if (one.error || two.error) return one.error ? one : two;
      const [lengths, words] = ["messages", "outputs"].map((of) => [one, two].map((answer) => answer[of].map((item) => item.bytes ?? item.word).join(", ")));
      return { index: lengths[0] !== lengths[1] ? 0 : words[0] === words[1] ? 1 : 2, lengths: lengths[0], words: words[0] };
    },
    ({ lengths, words }) => `The core has just run it twice, under two keys. The lengths were ${lengths}, the words of the answer ${signed(words)}, both times.`));
}
