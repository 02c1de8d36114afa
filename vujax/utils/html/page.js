// A readout under the pointer for each curve.
for (const figure of document.querySelectorAll("figure.chart")) {
  const svg = figure.querySelector("svg");
  const readout = figure.querySelector(".readout");
  const [cross, dot] = [svg.querySelector(".cross"), svg.querySelector(".dot")];
  const points = JSON.parse(svg.dataset.points); // [step, value as text, x, y]
  svg.addEventListener("pointermove", (event) => {
    if (!points.length) return;
    const x = new DOMPoint(event.clientX, 0).matrixTransform(svg.getScreenCTM().inverse()).x;
    const near = points.reduce((a, b) => (Math.abs(b[2] - x) < Math.abs(a[2] - x) ? b : a));
    cross.setAttribute("x1", near[2]);
    cross.setAttribute("x2", near[2]);
    dot.setAttribute("cx", near[2]);
    dot.setAttribute("cy", near[3]);
    readout.textContent = `step ${near[0].toLocaleString("en")}: ${near[1]}`;
    figure.classList.add("reading");
  });
  svg.addEventListener("pointerleave", () => {
    readout.textContent = readout.dataset.rest;
    figure.classList.remove("reading");
  });
}
document.documentElement.dataset.ready = "true";
