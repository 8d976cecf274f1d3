"use strict";
(() => {
  const all = (what, inside = document) => [...inside.querySelectorAll(what)];

  // Curves: a line that follows the pointer or the arrow keys, and the values below it.
  const number = (value) => {
    if (value === null || value === undefined) return "not a number";
    const size = Math.abs(value);
    if (size !== 0 && size < 1e-3) return value.toExponential(2);
    return value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
  };
  const nearest = (steps, step) => {
    let low = 0, high = steps.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (steps[middle] < step) low = middle; else high = middle;
    }
    return step - steps[low] < steps[high] - step ? low : high;
  };
  for (const figure of all("figure.curves")) {
    const told = JSON.parse(figure.querySelector(".told").textContent);
    const chart = figure.querySelector(".chart"), here = figure.querySelector(".here");
    const readout = figure.querySelector(".readout"), box = figure.querySelector(".scroll");
    const points = told.points.map((point) => point[0]);
    let at = null;
    const show = (step) => {
      at = Math.min(told.last, Math.max(0, step));
      const x = told.left + (told.right - told.left) * at / told.last;
      here.setAttribute("x1", x);
      here.setAttribute("x2", x);
      here.classList.add("is-on");
      const said = [];
      let shown = Math.round(at);
      if (told.steps.length) {
        const index = nearest(told.steps, at);
        shown = told.steps[index];
        for (const [name, values] of Object.entries(told.columns)) {
          if (values.some((value) => value !== null)) said.push(`${name} ${number(values[index])}`);
        }
      }
      if (points.length) said.push(told.points[nearest(points, at)][1]);
      if (told.phases.some(([start, end]) => start <= at && at <= end)) said.push("within an explosion");
      readout.textContent = `Step ${shown.toLocaleString("en-US")}: ${said.join(" · ")}`;
    };
    const follow = (event) => {
      const frame = chart.getBoundingClientRect();
      const x = (event.clientX - frame.left) * chart.viewBox.baseVal.width / frame.width;
      if (x >= told.left - 6 && x <= told.right + 6) show((x - told.left) / (told.right - told.left) * told.last);
    };
    chart.addEventListener("pointermove", follow);
    chart.addEventListener("pointerdown", follow);
    box.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return;
      event.preventDefault();
      const stops = points.length ? points : told.steps;
      if (!stops.length) return;
      const next = at === null ? (way > 0 ? 0 : stops.length - 1) : nearest(stops, at) + way;
      show(stops[Math.min(stops.length - 1, Math.max(0, next))]);
    });
  }

  // Pictures: which are shown, in which order.
  const strips = document.getElementById("strips");
  for (const select of all("select[data-does]")) {
    select.addEventListener("change", () => {
      if (select.dataset.does === "show") {
        strips.dataset.show = select.value;
        return;
      }
      const value = { step: (card) => Number(card.dataset.order), score: (card) => -Number(card.dataset.score) };
      for (const list of all(".cards", strips)) {
        list.append(...all(".card", list).sort((a, b) => value[select.value](a) - value[select.value](b)));
      }
    });
  }

  // A picture, enlarged.
  const viewer = document.getElementById("viewer");
  const picture = viewer.querySelector(".stage img");
  const lists = () => all(".cards").map((list) => all(".open", list).filter((one) => one.offsetParent)).filter((some) => some.length);
  let now = null, opener = null;
  const view = (button) => {
    now = button;
    const thumb = button.querySelector("img"), large = button.dataset.large;
    picture.src = large || thumb.src;
    picture.alt = button.dataset.alt;
    viewer.querySelector(".title").textContent = button.dataset.alt;
    viewer.querySelector(".more").textContent = button.dataset.more;
    viewer.querySelector(".size").textContent = large
      ? `Enlarged from ${viewer.dataset.largePx} px; the file has the whole picture.`
      : `Enlarged from a thumbnail of ${viewer.dataset.thumbPx} px, all that this page has room for.`;
  };
  const walk = (along, across) => {
    const rows = lists(), row = rows.findIndex((some) => some.includes(now));
    if (row < 0) return;
    const place = rows[row].indexOf(now);
    if (along) {
      const next = rows[row][place + along];
      if (next) view(next);
      return;
    }
    const other = rows[row + across];
    if (other) view(other.find((one) => one.dataset.step === now.dataset.step) || other[Math.min(place, other.length - 1)]);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (!button) return;
    const whole = document.querySelector(`.open[data-more][data-card="${button.dataset.card}"]`);
    if (!whole) return;
    opener = button;
    view(whole);
    viewer.showModal();
  });
  viewer.addEventListener("click", (event) => {
    const way = event.target.closest("[data-walk]");
    if (way) walk(Number(way.dataset.walk), 0);
    else if (event.target === viewer || event.target.closest("[data-close]")) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    walk(...way);
  });
  viewer.addEventListener("close", () => { if (opener) opener.focus(); });

  // Tables that sort by a column; what has no value stays at the end.
  for (const button of all(".sort")) {
    button.addEventListener("click", () => {
      const header = button.closest("th"), column = header.cellIndex, body = header.closest("table").tBodies[0];
      const down = header.getAttribute("aria-sort") === "ascending";
      for (const other of all("th", header.parentElement)) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key;
      const compare = (a, b) => {
        const [left, right] = [key(a), key(b)];
        if (left === undefined || right === undefined) return (left === undefined) - (right === undefined);
        const isNumber = left !== "" && right !== "" && !Number.isNaN(Number(left)) && !Number.isNaN(Number(right));
        return (down ? -1 : 1) * (isNumber ? left - right : left.localeCompare(right));
      };
      body.append(...[...body.rows].sort(compare));
    });
  }

  document.documentElement.dataset.script = "ran";
})();
