// The first chapter: a gate, step by step.
const gate = { seed: seed(), session: given("session", 0), answer: null, speak: 0 };

const GATE = {
  expand: "@{core/src/share.rs|pub fn expand}",
  split: "@{core/src/share.rs|pub fn split}",
  open: "@{core/src/share.rs|pub fn open}",
  dealBit: "@{core/src/session/gate/deal.rs|let sign = digits.bits().msb(mask);}",
  sign0: "@{core/src/session/gate/pieces.rs|let sign = signs.as_ref()}",
  rho0: "@{core/src/session/gate/pieces.rs|    fn opening_block(}",
  dealMask: "@{core/src/session/gate/deal.rs|let mask = digits.bits().low(}",
  dealSign: "@{core/src/session/gate/deal.rs|let sign_1 = }",
  dealLeaves: "@{core/src/session/gate/deal.rs|fn deal_leaves<}",
  dealRho: "@{core/src/session/gate/deal.rs|let rho_1 = }",
  dealTable: "@{core/src/session/gate/deal.rs|fn deal_table<}",
  h: "@{core/src/session/gate/deal.rs|let h = R::from_u64(below_top}",
  q: "@{core/src/session/gate/deal.rs|let q = high.add(}",
  truth: "@{core/src/session/gate/deal.rs|GateKind::Relu => [h, h.mul(q), h.mul(sign), q]}",
  addMask: "@{core/src/session/gate/pieces.rs|pub(crate) fn add_to<}",
  maskOne: "@{core/src/session/gate/correlation.rs|pub(crate) fn mask<R: Ring>}",
  mask: "@{core/src/session/gate/mod.rs|pub fn mask<}",
  z: "@{core/src/session/gate/mod.rs|let z = opened(}",
  msb: "@{core/src/session/gate/mod.rs|GateKind::Relu => digits.bits().msb(z) <<}",
  digit: "@{core/src/session/gate/digits.rs|pub fn digit(}",
  own0: "@{core/src/session/gate/mod.rs|let own = opened(half.masked_leaves(*z));}",
  own1: "@{core/src/session/gate/mod.rs|let own = opened(Half::<R>::masked_leaves(&half, z) ^ public);}",
  delta: "@{core/src/session/gate/mod.rs|let delta = own ^ bits_at(peer_bits, digits.opened_bits(), index);}",
  leaf: "@{core/src/session/gate/correlation.rs|fn masked_leaves(&self, z: R) -> u32;}",
  entry: "@{core/src/session/gate/mod.rs|let entry = half.entry(}",
  flip: "@{core/src/session/gate/mod.rs|let flip = delta >>}",
  relu: "@{core/src/gate.rs|pub(crate) fn relu<}",
  twin: "@{core/src/gate.rs|pub fn twin<}",
  cost: "@{core/src/session/gate/mod.rs|pub fn cost<}",
};

function gateAsk(changes = {}) {
  return ask("gate", { bits: $("width").value, shift: $("shift").value, y: gateY(), seed: gate.seed, session: gate.session, ...changes });
}

/** The secret as it was typed; a number that is none is refused by the core. */
function gateY() {
  const typed = $("y-n").value.trim().replace("−", "-");
  return /^-?\d{1,15}$/.test(typed) ? Number(typed) : typed;
}

function gateSteps() {
  const half = (key, name, how, src, who, more = {}) => cell({ key, name, how, src, sees: who, ...more });
  const bits = { show: "t" };
  const words = [["h", "the sign, perhaps turned", GATE.h], ["h q", "`h` times `q`", GATE.truth], ["h m", "`h` times `m`", GATE.truth], ["q", "`(r >> s)` and the borrow", GATE.q]];
  const steps = [];
  let number = 0;
  const add = (title, text, ...children) => steps.push(step(number += 1, title, text, ...children));

  add("Cut the secret in two", [
    "`P_0`'s half is random. `P_1`'s half is whatever makes the sum right. The two add up to `y`, on the clock.",
  ], stage(
    make("div", { class: "side n top" }, make("h4", {}, "the secret, which no party has"), half("y", "y", "what you drag", null, "", { show: "s" })),
    side("p0", "P_0", half("y_of.0", "y_0", "the next number of a keystream", GATE.expand, "0")),
    wire(), side("p1", "P_1", half("y_of.1", "y_1", "`y - y_0`, on the clock", GATE.split, "1"))),
  question("You raise the secret by 1. `P_0`'s half stays as it was drawn. What does `P_1`'s half do?",
    ["It goes up by 1.", "It jumps to anywhere.", "It stays."],
    () => {
      const [before, after] = [gateAsk(), gateAsk({ y: gateY() + 1 })];
      if (before.error || after.error) return before.error ? before : after;
      const up = (after.y_of[1].u - before.y_of[1].u - 1) % 2 ** before.width === 0;
      return { index: after.y_of[1].u === before.y_of[1].u ? 2 : up ? 0 : 1, before: before.y_of[1].u, after: after.y_of[1].u };
    },
    ({ before, after }) => `The core says ${before}, then ${after}. That is why a half is drawn anew for every secret: with a fresh \`y_0\`, \`y_1\` jumps to anywhere, and says nothing.`));

  add("A mask, from somebody who will see nothing else", [
    "Before anybody knows `y`, the dealer draws a number `r` and cuts it in two, like the secret. Its topmost bit `m` is cut in two as well. `P_0` and the dealer share a key, so `P_0`'s half is keystream: it stores 32 bytes, for ever. The dealer goes away now. It never sees a message.",
  ], stage(
    side("d top", "Dealer", half("r", "r", "drawn at random: `r_0 + r_1`", GATE.dealMask, "d"), half("m", "m", "topmost bit of `r`", GATE.dealBit, "d")),
    side("p0", "P_0", half("r_of.0", "r_0", "keystream", GATE.addMask, "0 d"), half("m_of.0", "m_0", "keystream", GATE.sign0, "0 d")),
    wire(), side("p1", "P_1", half("r_of.1", "r_1", "sent by the dealer", GATE.maskOne, "1 d"), half("m_of.1", "m_1", "`m - m_0`, sent by the dealer", GATE.dealSign, "1 d"))));

  add("Open the secret, under the mask", [
    "`P_0` adds its two halves and sends the sum. `P_1` adds its own two. Now both know `z`, which is `y + r`, and nothing else. In a session the first message is sent while the device is idle, before there is a secret.",
  ], stage(
    side("p0", "P_0", half("masked", "y_0 + r_0", "its message", GATE.mask, "0 1")),
    wire(arrow("y_0 + r_0"), half("z", "z", "public", GATE.z, "0 1"), arrow("z", true)),
    side("p1", "P_1", half("z", "z", "`(y_0 + r_0) + y_1 + r_1`, on the clock", GATE.z, "0 1"))),
  question("Both parties know `z` now. Which secrets are still possible?",
    ["About half of them: those with the sign of `z`.", "Those near `z`.", "All of them, each as likely as before."],
    () => {
      const answer = ask("worlds", { y: 23, shift: 2, mask: "fresh", seed: gate.seed, first: 0, keys: 4000 });
      if (answer.error) return answer;
      const { secrets } = answer;
      const low = secrets.filter((secret) => secret < 0).length;
      return { index: low > 0 && low < secrets.length ? 2 : 0, low, all: secrets.length };
    },
    ({ low, all }) => `For every secret there is exactly one mask that gives this \`z\`, and all masks are equally likely. The core has just tried 4,000 keys: ${all} explain all that \`P_1\` sees, ${low} of them with a negative secret. The next chapter does it before your eyes.`));

  add("The sign is a comparison", [
    "Had the addition `y + r` not wrapped around, it would be easy. Whether a carry has reached the topmost bit is the question whether `z` is less than `r`, both without their topmost bit. Then `y` is negative if an odd number of these is 1: the topmost bit of `z`, `m`, and the answer.",
    "So a public number must be compared with a secret one. Both are cut into digits, one cut where bits are dropped.",
  ], stage(make("div", { class: "side n top wide", id: "g-digits" })));

  add("Look it up, without asking", [
    "For each digit the dealer has made a small table. For every value `v` it says whether `v` is less than the mask's digit, `l`, and whether it is equal to it, `e`. Each party has a random-looking half of each table. Both know the digit of `z`, so both look at the same place, and say nothing. The topmost digit has `t` in place of `l`: the answer with `m` mixed in already.",
  ], stage(
    make("div", { class: "side d top wide" }, make("h4", {}, "Dealer's tables: upper row l (or t), lower row e"), make("div", { class: "digits", id: "g-tables" })),
    side("p0", "P_0", half("leaves_of.0", "u_0", "its half of the entries, keystream", GATE.leaf, "0", bits)),
    wire(half("leaves", "u", "`u_0 xor u_1`: nobody has it", GATE.dealLeaves, "", bits)),
    side("p1", "P_1", half("leaves_of.1", "u_1", "its half of the entries, sent by the dealer", GATE.leaf, "1", bits))),
  make("p", { class: "note" }, "Bits are written with the topmost digit's on the left: ", make("span", { class: "f", id: "g-names" })));

  add("Open the bits, under a mask of their own", [
    "These few bits would say too much: they compare `z` with `r` digit by digit. So the dealer has also dealt random bits `rho`. Each party sends its half, masked. The bit `t` gets the topmost bit of `z` on the way.",
  ], stage(
    side("d top", "Dealer", half("rho", "rho", "drawn at random", GATE.dealRho, "d", bits)),
    side("p0", "P_0", half("rho_of.0", "rho_0", "keystream", GATE.rho0, "0 d", bits), half("own.0", "sends", "`u_0 xor rho_0`", GATE.own0, "0 1", bits)),
    wire(arrow("bits"), half("delta", "delta", "both messages, xor: public", GATE.delta, "0 1", bits), arrow("bits", true)),
    side("p1", "P_1", half("rho_of.1", "rho_1", "sent by the dealer", GATE.dealRho, "1 d", bits), half("own.1", "sends", "`u_1 xor rho_1`, and the topmost bit of `z` at `t`", GATE.own1, "0 1", bits))),
  question("You draw new masks, and the secret stays. Will `delta` be the same?",
    ["Yes: the secret decides it.", "Only by chance: it is random, whatever the secret."],
    () => {
      const seen = new Set();
      for (let session = 0; session < 24; session += 1) {
        const other = gateAsk({ session: gate.session + 1 + session });
        if (other.error) return other;
        seen.add(other.delta);
      }
      return { index: seen.size > 1 ? 1 : 0, count: seen.size };
    },
    ({ count }) => `In 24 runs with new masks the core saw ${count} different values of \`delta\`.`));

  add("One more table, and done", [
    "The dealer knows `r`, and for every possible `delta` it knows what the comparison would mean. So it has made a table of that, too, and cut it in two. `delta` is public: both look up the same entry. If the topmost bit of `delta` is 1, the answer is turned round, by each party alone.",
    "`h` is the sign, perhaps turned. `q` is the mask's upper part with the borrow of the lower one. The products are there so that nobody has to multiply.",
  ], stage(
    make("div", { class: "side n top" }, make("h4", {}, "which entry"), half("index", "entry", "`delta` without its topmost bit", GATE.entry, "0 1", bits), half("turned", "turned", "topmost bit of `delta`", GATE.flip, "0 1", bits)),
    side("p0", "P_0", ...words.map(([name], index) => half(`entry_of.0.${index}`, name.length > 1 ? `(${name})_0` : `${name}_0`, "keystream", GATE.entry, "0"))),
    wire(...words.map(([name, how, src], index) => half(`entry.${index}`, name, how, src, ""))),
    side("p1", "P_1", ...words.map(([name], index) => half(`entry_of.1.${index}`, name.length > 1 ? `(${name})_1` : `${name}_1`, "sent by the dealer", GATE.dealTable, "1")))));

  add("Two halves of the result", [
    "With `b` for \"`y` is not negative\", `s` for the bits that are dropped and `w` for the ring's bits, the result is `b (z >> s) - b q + 2^(w-s) (1 - msb z) (b m)`. Everything public is a factor, everything secret is a share that each party has: so each computes its half alone.",
  ], stage(
    side("p0", "P_0", half("out_of.0", "x_0", "the formula on `P_0`'s shares", GATE.relu, "0")),
    wire(half("out", "x", "`x_0 + x_1`: what they could open, and do not", GATE.open, "", { show: "s" })),
    side("p1", "P_1", half("out_of.1", "x_1", "the formula on `P_1`'s shares", GATE.relu, "1"))),
  stage(make("div", { class: "side n top" }, make("h4", {}, "in the clear, for comparison"), half("twin", "max(y, 0) >> s", "the plaintext twin", GATE.twin, "", { show: "s" }))),
  gate.predict = predict(() => `The secret is ${signed($("y-n").value)} and the gate drops ${$("shift").value} bits, rounding down. Cover the numbers above. What do the halves add up to if the secret is ${signed(gateNext())}?`,
    () => {
      const answer = gateAsk({ y: gateNext() });
      return answer.error ? answer : { value: answer.out.s, twin: answer.twin.s };
    },
    ({ value, twin }) => `The two halves add up to ${signed(value)}, and the twin says ${signed(twin)}. Not nearly: exactly, for every secret and every mask.`),
  make("div", { class: "cells", style: "margin-top:1.6rem" },
    cell({ key: "cost.prepare", name: "ahead", how: "bytes from `P_0`, before there is a secret", src: GATE.cost, show: "t" }),
    cell({ key: "cost.up", name: "up", how: "bytes from `P_0`", src: GATE.cost, show: "t", of: "c0" }),
    cell({ key: "cost.down", name: "down", how: "bytes from `P_1`", src: GATE.cost, show: "t", of: "c1" }),
    cell({ key: "cost.dealer", name: "dealer", how: "bytes to `P_1`, ahead; `P_0` gets none", src: GATE.cost, show: "t", of: "cd" })));
  $("gate-steps").append(...steps);
}

/** Another secret, whose result is not on the page. */
function gateNext() {
  const y = Number($("y-n").value.replace("−", "-")) || 0;
  const half = 2 ** (Number($("width").value) - 1);
  return (y + half + Math.floor(half * 0.7) + 3) % (2 * half) - half;
}

/** The digits of z and r, and the tables: as many as the plan has. */
function gateDigits(answer, view) {
  const sees = (who) => view === "all" || who.split(" ").includes(view);
  const place = $("g-digits");
  const key = answer.digits.map((digit) => digit.bits).join();
  if (place.dataset.plan !== key) {
    place.dataset.plan = key;
    place.replaceChildren(make("h4", {}, "z and r, cut into digits"), make("div", { class: "digits" }, ...answer.digits.map((digit, j) => {
      const title = `digit ${j}: bits ${digit.low} to ${digit.low + digit.bits - 1}${digit.below ? ", dropped" : ""}`;
      return make("div", { class: "digit" }, make("h5", {}, title),
        cell({ key: `digits.${j}.z`, name: `z, digit ${j}`, how: "public", src: GATE.digit, show: "t", sees: "0 1", also: `digits.${j}.z_bits` }),
        cell({ key: `digits.${j}.r`, name: `r, digit ${j}`, how: "the mask's", src: GATE.digit, show: "t", sees: "d", also: `digits.${j}.r_bits` }));
    })));
    $("g-tables").replaceChildren(...answer.digits.map((digit, j) => make("div", { class: "digit" }, make("h5", {}, `digit ${j}, ${2 ** digit.bits} entries`), make("div", { class: "tab" }))));
  }
  answer.digits.forEach((digit, j) => {
    const box = $("g-tables").children[j];
    const table = box.lastChild;
    const state = JSON.stringify([digit.tables, digit.z, digit.r, view]);
    if (table.dataset.state === state) return;
    table.dataset.state = state;
    box.classList.toggle("veil", !sees("d"));
    // Where a table is too wide, what lies near a digit that this party does not know stays away.
    const parts = digit.tables.filter(({ near }) => (near !== "z" || sees("0 1")) && (near !== "r" || sees("d")));
    table.replaceChildren(...parts.flatMap(({ near, first, less, equal }) => [
      near ? make("em", {}, `near ${near}, from ${first} on`) : null,
      ...Array.from(less, (l, index) => make("span", {
        class: `${first + index === digit.z && sees("0 1") ? "here " : ""}${first + index === digit.r && sees("d") ? "mask" : ""}`,
        title: `value ${first + index}`,
      }, make("i", {}, sees("d") ? l : "•"), equal ? make("i", {}, sees("d") ? equal[index] : "•") : null))]).filter(Boolean));
  });
  $("g-names").textContent = [...answer.names].reverse().join(" ");
}

const gateShow = eachFrame(() => {
  const answer = gateAsk();
  const view = chosen("view");
  document.body.dataset.view = view;
  const bad = failed("gate", answer);
  $("y-n").setAttribute("aria-invalid", String(bad));
  if (!bad) gateDigits(answer, view);
  show($("gate-steps"), bad ? null : answer, view);
  gate.answer = bad ? null : answer;
  gate.predict.update();
  // Spoken when the hand rests.
  clearTimeout(gate.speak);
  gate.speak = setTimeout(() => {
    $("gate-live").textContent = bad || view !== "all" ? "" : `Secret ${answer.y.s}, public z ${answer.z.u}, result ${answer.out.s}.`;
  }, 500);
});

function gateStart() {
  $("width").value = given("bits", 8);
  const range = () => {
    const bits = Number($("width").value);
    const half = 2 ** (bits - 1);
    const old = Number($("shift").value || given("shift", 2));
    $("y").min = -half;
    $("y").max = half - 1;
    $("shift").replaceChildren(...Array.from({ length: bits - 1 }, (_, bits) => make("option", {}, String(bits))));
    $("shift").value = Math.min(old, bits - 2);
  };
  range();
  $("y-n").value = asked.get("y") ?? "23";
  $("y").value = $("y-n").value;
  gateSteps();
  const moved = () => {
    if (!$("keep").checked) gate.session += 1;
    gateShow();
  };
  $("y").addEventListener("input", () => { $("y-n").value = $("y").value; moved(); });
  $("y-n").addEventListener("input", () => { $("y").value = $("y-n").value; moved(); });
  $("width").addEventListener("change", () => { range(); gateShow(); });
  $("shift").addEventListener("change", gateShow);
  $("fresh").addEventListener("click", () => { gate.session += 1; gateShow(); });
  onChoice("view", gateShow);
  gateShow();
}
