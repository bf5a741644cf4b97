// Wakes the core, then the chapters, the first one first.
const READ = [
  ["core/src/share.rs", "shares"],
  ["core/src/gate.rs", "what a gate computes, and its twin"],
  ["core/src/session/gate/mod.rs", "the steps of a gate"],
  ["core/src/session/gate/correlation.rs", "what is dealt for it"],
  ["core/src/session/linear/mod.rs", "a layer"],
  ["core/src/functions/protocol/product.rs", "a product"],
  ["docs/protocols.md", "every protocol on one page"],
  ["docs/threat-model.md", "what is promised, and what is not"],
];

window.addEventListener("error", (event) => broken(event.message));
window.addEventListener("unhandledrejection", (event) => broken(String(event.reason)));

function broken(why) {
  $("broken").hidden = false;
  $("broken").textContent = `The page has stopped: ${why}. Reload it; what is shown below may be old.`;
  document.documentElement.dataset.broken = why;
}

wake().then(() => {
  gateStart();
  performance.mark("gate");
  document.documentElement.dataset.ready = Math.round(performance.now());
  // The other chapters follow when the first can be used.
  const rest = [knowsStart, twiceStart, layerStart, networkStart, trainStart, bitsStart, transferStart, traceStart];
  const next = () => {
    const start = rest.shift();
    if (!start) {
      document.documentElement.dataset.complete = Math.round(performance.now());
      if (location.hash) document.querySelector(location.hash.split("?")[0])?.scrollIntoView();
      return;
    }
    start();
    setTimeout(next);
  };
  setTimeout(next);
  $("read").append(...READ.map(([file, what]) => make("li", {}, make("a", { href: `../../${file}`, target: "_blank", rel: "noopener" }, file), `: ${what}`)));
  $("foot").textContent = "This page is one file. It asks nobody for anything, and works offline.";
}).catch((error) => broken(error.message));
