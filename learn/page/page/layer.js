// A matrix under a mask.
const layer = { seed: seed(), session: 0, weights: [3, -1, 2, 0, 5, -4] };

const LAYER = {
  maskWeights: "@{core/src/session/linear/correlation.rs|pub fn mask_weights<}",
  deal: "@{core/src/session/linear/correlation.rs|pub fn deal<}",
  prepare: "@{core/src/session/linear/mod.rs|pub fn prepare<}",
  mask: "@{core/src/session/linear/mod.rs|pub fn mask<}",
  correct: "@{core/src/session/linear/mod.rs|pub fn correct<}",
  twin: "@{core/src/session/linear/mod.rs|pub fn twin<}",
  open: "@{core/src/share.rs|pub fn open}",
  cost: "@{core/src/session/linear/mod.rs|pub fn cost<}",
};

/** A vector or a matrix of words: `columns` in a row. */
function matrix({ key, name, how, src, columns, count, show = "u", of = "" }) {
  const grid = make("div", { class: "mat", style: `grid-template-columns: repeat(${columns}, auto)` });
  for (let index = 0; index < count; index += 1) {
    const value = make("span", {});
    const element = make("div", { "data-key": `${key}.${index}`, "data-show": show, "data-sees": "0 1 d" }, value);
    element.value = value;
    grid.append(element);
  }
  return make("div", { class: `cell ${of}` }, make("span", { class: "cn" }, low(name)), grid, make("span", { class: "ch" }, ...rich(how)), source(src));
}

function layerStart() {
  const bar = $("l-bar");
  const names = ["h_1", "h_2", "h_3"];
  [7, -2, 5].forEach((value, index) => bar.append(make("div", { class: "ctl wide", style: "flex-basis:12rem" },
    make("label", { for: `lh${index}` }, low(names[index])), make("input", { id: `lh${index}`, type: "range", min: -50, max: 50, value }), make("span", { id: `lh${index}-o`, class: "big" }))));
  bar.append(make("div", { class: "ctl" }, make("button", { type: "button", id: "l-w" }, "Another matrix")), make("div", { class: "ctl" }, make("button", { type: "button", id: "l-fresh" }, "New masks")));
  const column = (key, name, how, src, more = {}) => matrix({ key, name, how, src, columns: 1, count: 3, ...more });
  const rows = (key, name, how, src, more = {}) => matrix({ key, name, how, src, columns: 1, count: 2, ...more });
  const square = (key, name, how, src, more = {}) => matrix({ key, name, how, src, columns: 3, count: 6, ...more });
  $("l-steps").append(
    step(1, "Once per model: the matrix under a mask", ["`P_1` draws a seed and tells it `P_0`. From the seed comes a matrix of noise, `E`. The dealer gets `A = W - E`. Alone `A` is noise to the dealer, and `E` is noise to `P_0`. Only together they are the model."],
      stage(side("d top", "Dealer", square("a", "A", "`W - E`", LAYER.maskWeights)),
        side("p0", "P_0", square("e", "E", "keystream of the seed, made row by row, never stored", LAYER.maskWeights)), wire(),
        side("p1", "P_1", square("w", "W", "its model", null, { show: "s" })))),
    step(2, "Once per use, ahead of time: a product of noise", ["The dealer and `P_0` share a key. From it come a mask `r` for the vector, and a half `a_0`. The dealer computes `A r` and sends `P_1` the other half. `P_0` multiplies its own noise: `E r + a_0`. All that may happen at night."],
      stage(side("d top", "Dealer", column("r", "r", "keystream, which `P_0` has too", LAYER.deal)),
        side("p0", "P_0", rows("a_0", "a_0", "keystream", LAYER.deal), rows("u_0", "u_0", "`E r + a_0`: its half of the result, before there is a reading", LAYER.prepare)), wire(),
        side("p1", "P_1", rows("a_1", "a_1", "`A r - a_0`, sent by the dealer", LAYER.deal)))),
    step(3, "The reading comes: one message", ["`P_0` sends its vector under the mask. `P_1` multiplies what it gets with its model, as if it were a reading, and adds the dealer's half."],
      stage(side("p0", "P_0", column("h", "h", "its reading", null, { show: "s" }), column("d", "d", "`h - r`", LAYER.mask)), wire(arrow("d")),
        side("p1", "P_1", rows("u_1", "u_1", "`W d + a_1`", LAYER.correct)))),
    step(4, "Two halves of W h", ["`E r + a_0 + W (h - r) + A r - a_0` is `W h`, since `E + A` is `W`. The noise is gone, and nobody has seen the product. The gate comes next."],
      stage(side("p0", "P_0", rows("u_0", "u_0", "as before", LAYER.prepare)), wire(rows("out", "sum", "`u_0 + u_1`: nobody has it", LAYER.open, { show: "s" })), side("p1", "P_1", rows("u_1", "u_1", "as before", LAYER.correct))),
      stage(make("div", { class: "side n top" }, make("h4", {}, "in the clear, for comparison"), rows("twin", "W h", "the plaintext twin", LAYER.twin, { show: "s" }))),
      question("`P_1` wants to find out the reading. It changes its matrix between two sessions. What does it see of `h`?",
        ["One message `d`, which is noise, whatever the matrix.", "A product that tells it more each time."],
        () => {
          const other = [1, 0, 0, 0, 1, 0];
          const [one, two] = [layerAsk(), layerAsk({ weights: other })];
          if (one.error || two.error) return one.error ? one : two;
          return { index: one.d.every((word, index) => word.u === two.d[index].u) ? 0 : 1, d: two.d.map((word) => word.u).join(", ") };
        },
        ({ d }) => `With the matrix replaced the core sends the same message, ${d}: it depends on the reading and the mask alone.`)),
    make("div", { class: "cells" }, cell({ key: "up", name: "up", how: "bytes from `P_0`, one message", src: LAYER.cost, show: "t", of: "c0" }), cell({ key: "dealer", name: "dealer", how: "bytes to `P_1`, ahead", src: LAYER.cost, show: "t", of: "cd" })));

  const draw = eachFrame(() => {
    const answer = layerAsk();
    const bad = failed("layer", answer);
    show($("l-steps"), bad ? null : answer);
    $("l-live").textContent = bad ? "" : `The device sends ${answer.d.map((word) => word.u).join(", ")}; the product is ${answer.out.map((word) => word.s).join(", ")}.`;
  });
  const values = [0, 1, 2].map((index) => slider(`lh${index}`, draw));
  function layerAsk(changes = {}) {
    return ask("layer", { input: values.map((value) => value()), weights: layer.weights, seed: layer.seed, session: layer.session, ...changes });
  }
  $("l-w").addEventListener("click", () => {
    layer.weights = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => (byte % 13) - 6);
    layer.session += 1;
    draw();
  });
  $("l-fresh").addEventListener("click", () => { layer.session += 1; draw(); });
  draw();
}
