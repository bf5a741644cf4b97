// What P1 knows: secrets that explain what it has seen; and two secrets under one mask.
const WORLDS = 1000;
const BINS = 32;
const knows = { seed: seed(), run: 0 };

const KNOWS = {
  mask: "@{core/src/session/gate/mod.rs|pub fn mask<}",
  deal: "@{core/src/session/gate/deal.rs|pub fn deal<}",
  z: "@{core/src/session/gate/mod.rs|let z = opened(}",
  split: "@{core/src/share.rs|pub fn split}",
};

/** A histogram of secrets from -128 to 127; the true one is marked. */
function histogram(counts, truth, label) {
  const [width, height, base] = [520, 210, 180];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const even = total / counts.length;
  const most = Math.max(even * 2.4, ...counts, 1);
  const bar = (count, index) => svg("rect", {
    class: "barr", x: (index * width) / counts.length + 1, width: width / counts.length - 2,
    y: base - (count / most) * (base - 10), height: (count / most) * (base - 10),
  });
  const x = (y) => ((y + 128.5) / 256) * width;
  const text = (at, words, anchor) => { const element = svg("text", { x: at, y: base + 18, "text-anchor": anchor }); element.textContent = words; return element; };
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    ...counts.map(bar), svg("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }),
    ...(total ? [svg("line", { class: "even", x1: 0, x2: width, y1: base - (even / most) * (base - 10), y2: base - (even / most) * (base - 10) })] : []),
    svg("line", { class: "true", x1: x(truth), x2: x(truth), y1: base, y2: base + 7 }),
    text(0, "−128", "start"), text(x(0), "0", "middle"), text(width, "127", "end"),
    ...(Math.abs(truth) > 12 && Math.abs(truth) < 112 ? [text(x(truth), "the secret", "middle")] : []));
}

function knowsStart() {
  const y = slider("ky", () => clear());
  const cells = [
    cell({ key: "y_1", name: "y_1", how: "its half of the secret", src: KNOWS.split, of: "c1" }),
    cell({ key: "r_1", name: "r_1", how: "its half of the mask", src: KNOWS.deal, of: "c1" }),
    cell({ key: "masked", name: "message", how: "`y_0 + r_0`, from `P_0`", src: KNOWS.mask, of: "c1" }),
    cell({ key: "z", name: "z", how: "`y + r`, public", src: KNOWS.z, of: "c1" }),
  ];
  $("k-seen").append(make("h3", { class: "h4" }, "What P₁ has seen"), make("div", { class: "cells" }, ...cells),
    make("p", { class: "note", style: "margin-top:1rem" }, "And the bits that both opened, and those that it read in its tables: compared as well, every one. Not compared are table entries that it did not read, and the table's words; each lies under random numbers of its own."));

  const question = (first, keys) => ask("worlds", { y: y(), shift: 2, mask: chosen("kmask"), seed: knows.seed, first, keys });
  function clear() {
    knows.run += 1;
    knows.seed = asked.get("seed") || newSeed();
    const answer = question(0, 1);
    const bad = failed("knows", answer);
    show($("k-seen"), bad ? null : answer);
    $("k-plot").replaceChildren(histogram(Array(BINS).fill(0), y(), "nothing yet"));
    $("k-said").textContent = "Press the button: P₁ begins to try keys.";
    $("k-run").disabled = bad;
  }
  $("k-run").addEventListener("click", () => {
    const run = knows.run += 1;
    const counts = Array(BINS).fill(0);
    let [tried, kept, first] = [0, 0, 0];
    $("k-said").textContent = "P₁ is trying keys …";
    const more = () => {
      if (run !== knows.run) return;
      // Without a mask few keys fit, and those that do not are cheap.
      const bare = chosen("kmask") === "left-out";
      const answer = question(first += 1, bare ? 40000 : 1600);
      if (failed("knows", answer)) return;
      tried += answer.tried;
      for (const secret of answer.secrets) {
        if (kept === WORLDS) break;
        counts[Math.floor((secret + 128) / (256 / BINS))] += 1;
        kept += 1;
      }
      const enough = kept >= WORLDS || (bare && tried >= 600000);
      const used = counts.filter((count) => count > 0).length;
      const words = `${kept.toLocaleString("en")} of ${tried.toLocaleString("en")} keys explain what P₁ saw. `;
      $("k-plot").replaceChildren(histogram(counts, y(), `${words} A bar for each eight secrets: from ${Math.min(...counts)} to ${Math.max(...counts)}.`));
      if (!enough) return requestAnimationFrame(more);
      $("k-plot").dataset.kept = kept;
      $("k-plot").dataset.used = used;
      $("k-said").textContent = words + (used > 1
        ? `The secrets that they mean are spread evenly, ${Math.min(...counts)} to ${Math.max(...counts)} in each bar, about ${Math.round(kept / BINS)} expected. What P₁ saw fits every secret alike.`
        : `All of them mean the same secret: z itself. Whoever leaves the mask out has told it.`);
    };
    more();
  });
  onChoice("kmask", clear);
  clear();
  $("knows-more").append(question2());
}

function question2() {
  return question("`P_1` collects a million gates, each with a fresh mask, all of the same secret. What does it know then?",
    ["The secret, by averaging.", "What it knew before: nothing.", "The sign, perhaps."],
    () => {
      const mean = (y) => {
        let sum = 0;
        for (let session = 0; session < 400; session += 1) {
          const answer = ask("gate", { bits: 8, shift: 2, y, seed: knows.seed, session });
          if (answer.error) return answer;
          sum += answer.z.u;
        }
        return sum / 400;
      };
      const means = [mean(100), mean(-100)];
      return means[0].error ? means[0] : { index: Math.abs(means[0] - means[1]) < 40 ? 1 : 0, means };
    },
    ({ means }) => `Every \`z\` is uniform on its own, whatever the secret. The core has run 400 gates on 100: the mean of \`z\` is ${means[0].toFixed(1)}. And 400 on −100: ${means[1].toFixed(1)}. Averaging works where noise is small. Here it is as large as the clock.`);
}

function twiceStart() {
  const draw = eachFrame(() => {
    const answer = ask("twice", { a: a(), b: b(), shift: 0, same: chosen("same"), seed: knows.seed, keys: WORLDS });
    const bad = failed("twice", answer);
    show($("t-cells"), bad ? null : answer);
    if (bad) return;
    const dots = answer.pairs.map(([x, y]) => `M${x + 128} ${127 - y}h2.2v2.2h-2.2z`).join("");
    const words = (x, y, text, more = {}) => { const element = svg("text", { x, y, ...more }); element.textContent = text; return element; };
    $("t-plot").replaceChildren(svg("svg", { viewBox: "-24 -6 300 290", role: "img", "aria-label": "pairs of secrets that explain both messages" },
      svg("rect", { class: "frame", x: 0, y: 0, width: 256, height: 256 }), svg("path", { class: "dots", d: dots }),
      words(128, 274, "first secret", { "text-anchor": "middle" }), words(-10, 128, "second secret", { "text-anchor": "middle", transform: "rotate(-90 -10 128)" })));
    const used = answer.differences.filter((count) => count > 0).length;
    $("t-plot").dataset.used = used;
    $("t-said").textContent = used === 1
      ? "All dots lie on one line (it wraps around): whatever the secrets are, their difference is known. Two readings of one sensor, a minute apart: P₁ sees it move."
      : `The dots fill the square: ${used} of 256 differences occur among ${WORLDS.toLocaleString("en")}. Nothing is known.`;
  });
  const a = slider("ta", draw);
  const b = slider("tb", draw);
  $("t-cells").append(
    cell({ key: "z.0", name: "z_a", how: "`a` under its mask", src: KNOWS.z }),
    cell({ key: "z.1", name: "z_b", how: "`b` under its mask", src: KNOWS.z }),
    cell({ key: "difference", name: "z_b - z_a", how: "what `P_1` computes", src: "@{core/src/ring.rs|fn sub(self, other: Self) -> Self;}", show: "s", of: "c1" }),
    cell({ key: "truth", name: "b - a", how: "what nobody should know", src: "@{core/src/ring.rs|fn sub(self, other: Self) -> Self;}", show: "s" }));
  onChoice("same", draw);
  draw();
  $("twice-more").append(question("With the same mask, do the two results come out wrong?",
    ["Yes, the gate notices.", "No, they are right all the same."],
    () => {
      const answer = ask("twice", { a: a(), b: b(), shift: 0, same: "yes", seed: knows.seed, keys: 1 });
      if (answer.error) return answer;
      const right = [a(), b()].every((y, index) => answer.out[index].s === Math.max(y, 0));
      return { index: right ? 1 : 0, out: answer.out.map((word) => word.s) };
    },
    ({ out }) => `The core gives ${out[0]} and ${out[1]}. This is what makes the mistake dangerous: no test of results finds it.`));
}
