// What chapters are built of: numbers with their formula and source, stages, questions.
const $ = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Text with `code` between backquotes and _subscripts_ as they are written: y_0. */
function rich(text) {
  return text.split("`").map((part, index) => index % 2 ? make("span", { class: "f" }, low(part)) : part);
}
/** y_0 with a small zero; P_0 likewise. */
const low = (text) => text.replace(/_([0-9])/g, (_, digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
const signed = (number) => String(number).replace("-", "−");
const grouped = (bits) => bits.replace(/(?=(?:.{4})+$)(?!^)/g, " ");
const at = (answer, path) => path.split(".").reduce((value, key) => value?.[key], answer);

/** A link to a line of the core: `file#L12|what stands there`. */
function source(where) {
  if (!where) return null;
  const [file, text] = where.split("|");
  // The file alone, with its folder where that is what tells.
  const parts = file.replace("#L", ":").split("/");
  const name = parts.slice(parts.at(-1).startsWith("mod.rs") ? -2 : -1).join("/");
  return make("a", { class: "cs", href: `../../${file}`, "data-item": text, title: `${file.replace("#L", ", line ")}: ${text}`, target: "_blank", rel: "noopener" },
    name);
}

/** A number. `show`: s signed, u unsigned, t text. `sees`: who knows it. */
function cell({ key, name, how, src, show = "u", sees = "0 1 d", of = "", also = "" }) {
  const value = make("span", { class: show === "t" ? "cv bits" : "cv" });
  const bits = show === "t" && !also ? null : make("span", { class: "cb" });
  const element = make("div", { class: `cell ${of}`, "data-key": key, "data-show": show, "data-sees": sees, "data-also": also || null },
    make("span", { class: "cn" }, low(name)), value, bits, make("span", { class: "ch" }, ...rich(how || "")), source(src));
  element.value = value;
  element.bits = bits;
  return element;
}

/** Shows an answer in all numbers below `root`; null if there is none. */
function show(root, answer, view = "all") {
  root.classList.toggle("stale", !answer);
  if (!answer) {
    for (const element of root.querySelectorAll("[data-key]")) write(element, "–", "", "");
    return;
  }
  for (const element of root.querySelectorAll("[data-key]")) {
    const value = at(answer, element.dataset.key);
    const hidden = view !== "all" && !element.dataset.sees.split(" ").includes(view);
    const raw = value !== null && typeof value === "object" ? String(value[element.dataset.show]) : String(value);
    const text = hidden ? "•••" : signed(raw);
    const bits = element.dataset.also ? at(answer, element.dataset.also) : value?.b;
    write(element, text, hidden || !bits ? "" : grouped(bits), hidden ? "hidden" : raw);
    element.classList.toggle("veil", hidden);
  }
}

function write(element, text, bits, raw) {
  const moved = element.dataset.v !== undefined && element.dataset.v !== raw && raw !== "hidden" && raw !== "";
  element.classList.toggle("moved", moved && element.dataset.v !== "hidden");
  if (element.dataset.v !== raw) element.dataset.v = raw;
  if (element.value.textContent !== text) element.value.textContent = text;
  // A name for the three dots; a span has none unless it is an image.
  for (const [name, value] of [["role", "img"], ["aria-label", "hidden from this party"]]) {
    if (text === "•••") element.value.setAttribute(name, value);
    else element.value.removeAttribute(name);
  }
  if (element.bits && element.bits.textContent !== bits) element.bits.textContent = bits;
}

const side = (who, title, ...children) => make("div", { class: `side ${who}` }, make("h4", {}, low(title)), ...children);
const wire = (...children) => make("div", { class: "side w" }, ...children);
const arrow = (text, back) => make("div", { class: back ? "arrow back" : "arrow" }, low(text), make("i"));
const stage = (...children) => make("div", { class: "stage" }, ...children);

function step(number, title, text, ...children) {
  return make("section", { class: "step" }, make("h3", {}, make("span", { class: "no" }, String(number)), title),
    ...text.map((paragraph) => make("p", {}, ...rich(paragraph))), ...children);
}

/** A table that scrolls where it is wider than a phone. */
const table = (caption, ...parts) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", {}, make("caption", { class: "sr" }, caption), ...parts));
const head = (...names) => make("thead", {}, make("tr", {}, ...names.map((name) => make(name ? "th" : "td", { class: /bytes|trips|word|twin|answer|messages/.test(name) ? "num" : false, scope: name ? "col" : false }, name))));
const row = (...cells) => make("tr", {}, ...cells);
const cellOf = (words, more = {}) => make("td", more, words);
const num = (value, key) => make("td", { class: "num", "data-n": key, "data-v": value }, typeof value === "number" ? value.toLocaleString("en").replace("-", "−") : signed(value));

let questions = 0;
/** Predict, then check: `right` asks the core which option it is, `why` says it. */
function question(text, options, right, why) {
  const group = `q${questions += 1}`;
  const said = make("p", { class: "said", "aria-live": "polite" });
  const labels = options.map((option, index) => make("label", {}, make("input", { type: "radio", name: group, value: index }), make("span", {}, ...rich(option))));
  const button = make("button", { type: "button" }, "Check");
  const box = make("fieldset", { class: "ask" }, make("legend", {}, "Predict, then check"), make("p", {}, ...rich(text)), ...labels, make("div", { class: "go" }, button), said);
  button.addEventListener("click", () => {
    const chosen = box.querySelector(`input[name=${group}]:checked`);
    if (!chosen) return said.replaceChildren("Choose one first.");
    const answer = right();
    if (answer.error) return said.replaceChildren(answer.error);
    const ok = Number(chosen.value) === answer.index;
    said.replaceChildren(make("b", ok ? {} : { class: "no" }, ok ? "Yes. " : "No. "), ...rich(why(answer)));
    box.dataset.result = ok ? "right" : "wrong";
  });
  return box;
}

/** The same with a number to type in. */
function predict(text, right, why) {
  const said = make("p", { class: "said", "aria-live": "polite" });
  const label = make("span", {});
  const input = make("input", { type: "text", inputmode: "numeric", "aria-label": "Your prediction", autocomplete: "off" });
  const button = make("button", { type: "button" }, "Check");
  const box = make("fieldset", { class: "ask" }, make("legend", {}, "Predict, then check"), make("p", {}, label), make("div", { class: "go" }, input, button), said);
  box.update = () => label.replaceChildren(...rich(text()));
  const check = () => {
    const typed = input.value.trim().replace("−", "-");
    if (!/^-?\d+$/.test(typed)) return said.replaceChildren("Type a whole number.");
    const answer = right();
    if (answer.error) return said.replaceChildren(answer.error);
    const ok = Number(typed) === answer.value;
    said.replaceChildren(make("b", ok ? {} : { class: "no" }, ok ? "Yes. " : "No. "), ...rich(why(answer)));
    box.dataset.result = ok ? "right" : "wrong";
  };
  button.addEventListener("click", check);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") check(); });
  return box;
}

/** Shows the error's sentence in a chapter, and says whether there was one. */
function failed(chapter, answer) {
  const place = $(`${chapter}-error`);
  place.hidden = !answer.error;
  place.replaceChildren(...rich(answer.error || ""));
  return Boolean(answer.error);
}

/** Runs `work` at most once a frame, with the latest state. */
function eachFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; work(); });
  };
}

/** A slider and the number beside it. */
function slider(id, work) {
  const input = $(id);
  const tell = () => { $(`${id}-o`).textContent = signed(input.value); work(); };
  input.addEventListener("input", tell);
  $(`${id}-o`).textContent = signed(input.value);
  return () => Number(input.value);
}
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const onChoice = (name, work) => document.querySelectorAll(`input[name=${name}]`).forEach((input) => input.addEventListener("change", work));

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
