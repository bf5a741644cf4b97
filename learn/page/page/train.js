// A line through the points of two owners.
const train = { seed: seed(), points: [], steps: 30, answer: null, timer: 0 };

const TRAIN = {
  multiply: "@{core/src/functions/protocol/product.rs|pub struct Multiply}",
  shift: "@{core/src/functions/protocol/shift.rs|pub struct Shift}",
  engine: "@{core/src/functions/engine/mod.rs|pub trait Engine}",
  usage: "@{core/src/functions/engine/offline.rs|pub struct Usage}",
  split: "@{core/src/share.rs|pub fn split}",
};

function trainStart() {
  const half = 2048;
  const plot = svg("svg", { viewBox: "-2.25 -2.25 4.5 4.5", role: "group", "aria-label": "points of two owners, and the line" });
  const lines = svg("g");
  const dots = svg("g");
  plot.append(svg("path", { class: "frame", d: "M-2-2h4v4h-4z M-2 0h4 M0-2v4", "stroke-width": .012 }), lines, dots);
  $("r-plot").append(plot);
  $("r-cells").append(
    cell({ key: "steps.0.shares.0.0", name: "a_0", how: "server 0's half of the slope", src: TRAIN.engine, show: "t", of: "c0" }),
    cell({ key: "steps.0.shares.1.0", name: "a_1", how: "server 1's half of the slope", src: TRAIN.engine, show: "t", of: "c1" }),
    cell({ key: "steps.0.words.0", name: "a", how: "the sum, in units of 1/1024: nobody has it until the end", src: "@{core/src/share.rs|pub fn open}", show: "t" }),
    cell({ key: "steps.0.twin.0", name: "twin", how: "the same in the clear", src: "@{core/src/functions/engine/twin.rs|pub struct Twin}", show: "t" }),
    cell({ key: "steps.0.words.1", name: "b", how: "the offset, likewise", src: "@{core/src/functions/protocol/shift.rs|pub struct Shift}", show: "t" }),
    cell({ key: "steps.0.twin.1", name: "twin", how: "the same in the clear", src: "@{core/src/functions/engine/twin.rs|pub struct Twin}", show: "t" }),
    cell({ key: "messages", name: "messages", how: "each way, for all steps: products and exact truncations", src: TRAIN.multiply, show: "t" }),
    cell({ key: "bytes", name: "bytes", how: "each way", src: TRAIN.usage, show: "t" }),
    cell({ key: "dealt", name: "dealt", how: "bytes from the dealer to server 1", src: TRAIN.usage, show: "t", of: "cd" }));
  $("train").append(question("One owner moves all of its points. Which of the halves that server 0 holds of them change?",
    ["All of them.", "None: they are keystream, whatever the points."],
    () => {
      const other = ask("train", { points: train.points.map(([x, y]) => [-x, y]).flat(), steps: 0, seed: train.seed });
      if (other.error || !train.answer) return other;
      const halves = (answer, server) => answer.points.slice(0, 8).map((point) => point.shares[server].join()).join();
      return { index: halves(other, 0) === halves(train.answer, 0) ? 1 : 0, changed: halves(other, 1) !== halves(train.answer, 1) };
    },
    ({ changed }) => `The core has split the points and their mirror images, under the same key. Server 0 holds the same numbers both times${changed ? "; server 1's change, and look as random" : ""}.`));
  const points = Array.from({ length: 16 }, (_, index) => {
    const dot = svg("circle", { class: `pt o${index < 8 ? 0 : 1}`, r: .075, "stroke-width": .02, tabindex: 0, role: "application", "aria-roledescription": "movable point" });
    dot.addEventListener("pointerdown", (event) => dot.setPointerCapture(event.pointerId));
    dot.addEventListener("pointermove", (event) => {
      if (!dot.hasPointerCapture(event.pointerId)) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
      move(index, Math.round(at.x * 1024), Math.round(-at.y * 1024));
    });
    dot.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-64, 0], ArrowRight: [64, 0], ArrowUp: [0, 64], ArrowDown: [0, -64] }[event.key];
      if (!by) return;
      event.preventDefault();
      const [x, y] = train.points[index];
      move(index, x + by[0], y + by[1]);
    });
    return dot;
  });
  dots.append(...points);
  const limit = (word) => Math.max(-half, Math.min(half, word));
  function move(index, x, y) {
    train.points[index] = [limit(x), limit(y)];
    learn();
  }

  const learn = eachFrame(() => {
    const answer = ask("train", { points: train.points.flat(), steps: train.steps, seed: train.seed });
    const bad = failed("train", answer);
    train.answer = bad ? null : answer;
    if (bad) return show($("r-cells"), null);
    train.points = answer.points.map((point) => point.words);
    answer.points.forEach((point, index) => {
      points[index].setAttribute("cx", point.at[0]);
      points[index].setAttribute("cy", -point.at[1]);
      points[index].setAttribute("aria-label", `point of owner ${point.owner + 1}: ${point.at[0].toFixed(2)}, ${point.at[1].toFixed(2)}; arrow keys move it`);
    });
    draw();
  });
  function draw() {
    const answer = train.answer;
    if (!answer) return;
    const step = Math.min(Number($("r-step").value), answer.steps.length - 1);
    $("r-step-o").textContent = step;
    const line = ([a, b], name) => svg("line", { class: name, "stroke-width": name === "fit" ? .035 : .02, x1: -2, y1: -(b - 2 * a), x2: 2, y2: -(b + 2 * a) });
    lines.replaceChildren(...answer.steps.slice(0, step).map((old) => line(old.line, "old")), line(answer.steps[step].line, "fit"));
    for (const element of $("r-cells").children) element.dataset.key = element.dataset.key.replace(/^steps\.\d+/, `steps.${step}`);
    show($("r-cells"), answer);
    const now = answer.steps[step];
    $("r-said").textContent = `After ${step} steps: y = ${signed(now.line[0].toFixed(3))} x ${now.line[1] < 0 ? "−" : "+"} ${Math.abs(now.line[1]).toFixed(3)}, mean square error ${now.loss.toFixed(4)}. `
      + (answer.exact ? "Every step is the twin's, bit for bit." : "Steps differ from the twin's: this must not happen.");
    $("r-plot").dataset.exact = answer.exact;
  }
  const stop = () => { clearInterval(train.timer); train.timer = 0; $("r-play").textContent = "Play"; };
  $("r-step").addEventListener("input", () => { stop(); draw(); });
  $("r-play").addEventListener("click", () => {
    if (train.timer) return stop();
    $("r-step").value = 0;
    $("r-play").textContent = "Stop";
    draw();
    train.timer = setInterval(() => {
      $("r-step").value = Number($("r-step").value) + 1;
      draw();
      if (Number($("r-step").value) >= train.steps) stop();
    }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 600 : 160);
  });
  $("r-new").addEventListener("click", () => { train.seed = newSeed(); train.points = []; learn(); });
  learn();
}
