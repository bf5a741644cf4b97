// The comparison without tables.
const bitwise = { seed: seed(), session: 0 };

const BITS = {
  deal: "@{core/src/functions/protocol/bitwise/mod.rs|fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G)}",
  leaves: "@{core/src/functions/tree.rs|pub fn leaves(}",
  open: "@{core/src/functions/tree.rs|pub(crate) fn open<H: Half>(}",
  merge: "@{core/src/functions/tree.rs|pub(crate) fn merge<H: Half>(}",
  root: "@{core/src/functions/tree.rs|pub(crate) fn masked_root<}",
  finish: "@{core/src/functions/protocol/bitwise/positive.rs|fn finish<H: Half>(}",
  plain: "@{core/src/functions/protocol/bitwise/positive.rs|fn plain(&self}",
  unmask: "@{core/src/functions/protocol/comparing.rs|pub(super) fn unmask<}",
  mask: "@{core/src/functions/protocol/comparing.rs|pub(super) fn mask<}",
};

function bitsStart() {
  const t = { show: "t" };
  const c = (key, name, how, src, more = {}) => cell({ key, name, how, src, ...more });
  const tree = make("div", { class: "tree", id: "b-tree" });
  $("b-steps").append(
    step(1, "A mask, and its bits", ["The mask `r` is dealt twice: as a number whose halves add up, and bit by bit, each bit cut in two by exclusive or. Two parties without a dealer can make that, too. As before, both open `z = x + r`."],
      stage(side("p0", "P_0", c("x_of.0", "x_0", "its half of the secret", "@{core/src/share.rs|pub fn expand}"), c("r_of.0", "bits", "its half of the mask's bits", BITS.deal, t), c("masked_of.0", "sends", "`x_0 + r_0`", BITS.mask)),
        wire(c("z", "z", "public", BITS.unmask), c("r", "r", "nobody has it", BITS.deal)),
        side("p1", "P_1", c("x_of.1", "x_1", "its half of the secret", "@{core/src/share.rs|pub fn split}"), c("r_of.1", "bits", "its half of the mask's bits", BITS.deal, t), c("masked_of.1", "sends", "`x_1 + r_1`", BITS.mask)))),
    step(2, "One bit against one bit costs nothing", ["For each of the seven lower bits: is the bit of `z` less than that of `r`, and are they equal? `z` is public, so each party knows its half of `less` and `equal` without asking. The tree below starts with these seven pairs."],
      make("h4", {}, "The tree: in each node less, equal. Neighbours merge: less of the upper, or equal above and less below"), tree,
      stage(side("p0", "P_0", c("levels.0.opened_of.0", "sends", "its halves of the inputs, masked, to merge the leaves", BITS.open, t), c("levels.1.opened_of.0", "sends", "the same, a level higher", BITS.merge, t)),
        wire(arrow("bits"), arrow("bits", true)),
        side("p1", "P_1", c("levels.0.opened_of.1", "sends", "its halves of the inputs, masked", BITS.open, t), c("levels.1.opened_of.1", "sends", "the same, a level higher", BITS.merge, t))),
      question("To merge, products of secret bits are needed: \"equal above, and less below\". What do the parties send for them?",
        ["Their bits.", "Their halves of the bits, each under a dealt bit.", "Nothing: an AND of halves is the half of an AND."],
        () => {
          const seen = new Set();
          for (let session = 0; session < 16; session += 1) {
            const answer = ask("bits", { x: x(), seed: bitwise.seed, session });
            if (answer.error) return answer;
            seen.add(answer.levels[0].opened_of.join());
          }
          return { index: seen.size > 8 ? 1 : 0, count: seen.size };
        },
        ({ count }) => `As with numbers: open both factors under masks, and put the product together from dealt products of the masks. In 16 runs on this secret the core sent ${count} different pairs of messages. Groups of up to four are merged at once, so that there are few levels.`)),
    step(3, "The root is the sign", ["The topmost bits of `z` and `r` are mixed into the root, which is opened under a last bit. The same bit is dealt as a number, and so `x` or 0 can be chosen."],
      stage(side("p0", "P_0", c("out_of.0", "y_0", "its half of the result", BITS.finish)),
        wire(c("delta", "root", "opened, masked: public", BITS.root, t), c("out", "y", "`y_0 + y_1`: nobody has it", BITS.finish, { show: "s" })),
        side("p1", "P_1", c("out_of.1", "y_1", "its half of the result", BITS.finish))),
      make("div", { class: "cells" }, c("twin", "max(x, 0)", "the plaintext twin", BITS.plain, { show: "s" }), c("messages", "messages", "each way; with tables it was 2", BITS.deal, t), c("bytes", "bytes", "each way", BITS.deal, t), c("dealt", "dealt", "bytes from the dealer, instead of tables", BITS.deal, { ...t, of: "cd" }))));

  const draw = eachFrame(() => {
    const answer = ask("bits", { x: x(), seed: bitwise.seed, session: bitwise.session });
    const bad = failed("bits", answer);
    show($("b-steps"), bad ? null : answer);
    $("b-live").textContent = bad ? "" : `Secret ${x()}, public z ${answer.z.u}, result ${answer.out.s}.`;
    if (bad) return tree.replaceChildren();
    tree.replaceChildren(...answer.levels.map((level, depth) => {
      const count = level.less.length;
      const nodes = Array.from(level.less, (less, index) => make("div", { class: depth ? "node group" : "node" },
        make("b", {}, less), " ", index === count - 1 && depth ? "" : level.equal[index],
        make("small", {}, depth === 0 ? `z ${answer.z.b[index + 1]}  r ${answer.r.b[index + 1]}` : depth === 1 ? (index === 0 ? "upper 3" : "lower 4") : "z < r")));
      return make("div", { class: "lvl", "data-level": depth }, ...nodes);
    }));
  });
  const x = slider("bx", draw);
  $("b-fresh").addEventListener("click", () => { bitwise.session += 1; draw(); });
  draw();
}
