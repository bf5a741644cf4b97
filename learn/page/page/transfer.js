// Oblivious transfer in miniature.
const transfer = { seed: seed() };

const TRANSFER = {
  points: "@{learn/page/src/transfer.rs|let chosen = power(GENERATOR, t)}",
  hash: "@{learn/page/src/transfer.rs|fn hash(}",
  keys: "@{learn/page/src/transfer.rs|power(point_0 * hash(point_1) % MODULUS, s)}",
  key: "@{learn/page/src/transfer.rs|let key = power(reply, t);}",
  offers: "@{learn/page/src/transfer.rs|let (offers, pads) = }",
  sealed: "@{learn/page/src/transfer.rs|let sealed = [}",
  real: "@{std-host/ot/src/base/point.rs|pub(super) fn to_group(}",
  product: "@{core/src/functions/transfer.rs|pub struct Dual}",
  open: "@{core/src/share.rs|pub fn open}",
};

function transferStart() {
  const t = { show: "t" };
  const c = (key, name, how, src, more = {}) => cell({ key, name, how, src, ...more });
  $("o-steps").append(
    step(1, "The receiver sends two points, and can open one", ["The receiver is `P_0`. It takes one random point whose logarithm nobody knows, and makes the other one fit: so that it knows a logarithm for the point of its bit `c`. Both look alike."],
      stage(side("p0", "P_0, the receiver", c("t", "t", "its secret exponent", TRANSFER.points, t)),
        wire(c("points.0", "R_0", "sent; the real group is another", TRANSFER.points, t), c("points.1", "R_1", "sent", TRANSFER.real, t), arrow("two points")),
        side("p1", "P_1, the sender", c("s", "s", "its secret exponent", TRANSFER.keys, t), c("answer", "g^s", "sent back", TRANSFER.keys, t)))),
    step(2, "Two keys, of which the receiver has one", ["The sender makes a key from each point. The receiver can make one of them, with its exponent. Which one, the sender cannot see."],
      stage(side("p0", "P_0, the receiver", c("key", "K", "`(g^s)^t`", TRANSFER.key, t)), wire(arrow("g^s", true)),
        side("p1", "P_1, the sender", c("keys.0", "K_0", "`(R_0 H(R_1))^s`", TRANSFER.keys, t), c("keys.1", "K_1", "`(R_1 H(R_0))^s`", TRANSFER.keys, t))),
      question("The sender looks at the two points. Can it tell the receiver's bit?",
        ["Yes: one is rounder.", "No: each is a random point, and either could have been made to fit.", "Only if the bit is 1."],
        () => {
          const [zero, one] = [0, 1].map((choice) => ask("transfer", { a: a(), choice, seed: transfer.seed }));
          if (zero.error || one.error) return zero.error ? zero : one;
          return { index: zero.points[0] === one.points[1] && zero.points[1] === one.points[0] ? 1 : 0, zero: zero.points.join(" and "), one: one.points.join(" and ") };
        },
        ({ zero, one }) => `With the same random numbers the core sends ${zero} for the bit 0, and ${one} for the bit 1: the same points, in the other order. Which was drawn and which was made to fit does not show.`)),
    step(3, "A product of it", ["The sender draws `w` and offers `w` and `w + a`, each under a key. The receiver takes one: `w`, or `w + a`. In other words, `w + c a`. With `-w` on the other side these are two halves of `c a`: a bit times a number, and neither knows the other's. Do it for every bit of a number and you have products, masks, tables, all that the dealer dealt."],
      stage(side("p0", "P_0, the receiver", c("taken", "takes", "`w + c a`", TRANSFER.sealed), c("share_of.1", "half", "its half of `c a`", TRANSFER.product)),
        wire(c("sealed.0", "offer 0", "`w`, under `K_0`", TRANSFER.sealed), c("sealed.1", "offer 1", "`w + a`, under `K_1`", TRANSFER.sealed), c("product", "c a", "the sum of the halves", TRANSFER.open, { show: "s" })),
        side("p1", "P_1, the sender", c("offers.0", "w", "random", TRANSFER.offers), c("offers.1", "w + a", "the same plus its number", TRANSFER.offers), c("share_of.0", "half", "`-w`", TRANSFER.product))),
      make("div", { class: "cells" }, c("twin", "c a", "in the clear, for comparison", "@{core/src/ring.rs|fn mul(self, other: Self) -> Self;}", { show: "s" }))));
  const draw = eachFrame(() => {
    const answer = ask("transfer", { a: a(), choice: chosen("oc"), seed: transfer.seed });
    const bad = failed("transfer", answer);
    show($("o-steps"), bad ? null : answer);
    $("o-live").textContent = bad ? "" : `The receiver takes ${answer.taken.u}; the halves add up to ${answer.product.s}.`;
  });
  const a = slider("oa", draw);
  onChoice("oc", draw);
  $("o-fresh").addEventListener("click", () => { transfer.seed = newSeed(); draw(); });
  draw();
}
