// Theme, filter, and what is on the screen as attributes of the body: those are what a test reads.
(() => {
  "use strict";
  const root = document.documentElement, body = document.body;
  const asked = location.hash.slice(1).split("&");

  function theme(dark) {
    root.classList.toggle("dark", dark);
    body.dataset.theme = dark ? "dark" : "light";
  }
  theme(asked.includes("dark") || (!asked.includes("light") && matchMedia("(prefers-color-scheme: dark)").matches));
  document.getElementById("theme").onclick = () => theme(!root.classList.contains("dark"));

  const rows = [...document.querySelectorAll("tr[data-claim]")];
  const show = document.getElementById("show");
  function filter() {
    for (const row of rows) row.hidden = show.value !== "all" && !row.classList.contains(show.value);
    body.dataset.shown = rows.filter((row) => !row.hidden).length;
  }
  const shown = asked.find((word) => word.startsWith("show="));
  if (shown) show.value = shown.slice(5);
  show.onchange = filter;
  filter();

  const pictures = [...document.querySelectorAll("svg.picture")];
  let shapes = 0, outside = 0;
  for (const picture of pictures) {
    const box = picture.viewBox.baseVal;
    for (const shape of picture.querySelectorAll("rect, text, line")) {
      const it = shape.getBBox();
      ++shapes;
      if (it.x < -1 || it.y < -1 || it.x + it.width > box.width + 1 || it.y + it.height > box.height + 1) ++outside;
    }
  }
  body.dataset.claims = rows.length;
  body.dataset.pictures = pictures.map((picture) => picture.dataset.kind).join(" ");
  body.dataset.shapes = shapes;
  body.dataset.outside = outside;
  body.dataset.histories = document.querySelectorAll("iframe.history").length;
  body.dataset.wider = root.scrollWidth > root.clientWidth;
})();
