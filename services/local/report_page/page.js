"use strict";
// Draws every chart of the page with uPlot, again when the width or the colours change.
// Names are only ever set as text.
(() => {
  const HOUR = 3600, DAY = 86400;
  const SCALES = {
    none: [[1, ""]],
    short: [[1e9, " G"], [1e6, " M"], [1e4, " k", 1e3], [1, ""]],
    ms: [[864e5, " d"], [36e5, " h"], [6e4, " min"], [1e3, " s"], [1, " ms"]],
    s: [[DAY, " d"], [HOUR, " h"], [60, " min"], [1, " s"], [1e-3, " ms"]],
    bytes: [[2 ** 40, " TiB"], [2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]],
    cps: [[1e6, " M/s"], [1e4, " k/s", 1e3], [1, "/s"]],
    percent: [[1, " %"]],
  };
  const SPANS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, ...[1, 2, 6, 12, 24, 48, 168].map((hours) => hours * HOUR)];
  const clock = (second) => SPANS.map((step) => step * second);
  const decades = (from, to) => {
    const steps = [];
    for (let power = from; power <= to; power += 1) steps.push(...[1, 2, 5].map((step) => step * 10 ** power));
    return steps;
  };
  const STEPS = {  // what an axis may count in, where that is not by tens
    ms: [...decades(-3, 2), ...clock(1e3)],
    s: [...decades(-6, -1), ...clock(1)],
    bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const pad = (number) => String(number).padStart(2, "0");

  function amount(value, unit) {
    if (value == null) return "–";
    const scales = SCALES[unit] ?? SCALES.none;
    const [start, word, size] = scales.find(([from]) => (Math.abs(value) || 1) >= from) ?? scales.at(-1);
    return `${Number((value / (size ?? start)).toPrecision(3))}${word}`;
  }

  function moment(seconds, span) {
    const time = new Date(seconds * 1000);
    const day = `${pad(time.getUTCMonth() + 1)}-${pad(time.getUTCDate())}`;
    const clock = `${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}`;
    return span > 2 * DAY ? (clock === "00:00" ? day : `${day} ${clock}`) : clock;
  }

  const stacked = (series) => {
    const sums = series.map(() => []);
    series.forEach((one, index) => one.values.forEach((value, at) => {
      sums[index][at] = (index ? sums[index - 1][at] : 0) + (value ?? 0);
    }));
    return sums;
  };

  function axes(data) {
    const ink = colour("soft"), line = { stroke: colour("line"), width: 1 };
    const font = "12px system-ui, sans-serif";
    const span = data.to - data.from;
    const time = { stroke: ink, font, grid: { show: false }, ticks: line, size: 30, space: span > 2 * DAY ? 80 : 55,
      values: (_, ticks) => ticks.map((tick) => moment(tick, span)) };
    const names = data.buckets;
    const values = names
      ? { splits: () => names.map((_, index) => index + 0.5), values: () => names, space: 1 }
      : { values: (_, ticks) => ticks.map((tick) => amount(tick, data.unit)), space: 36,
        ...(STEPS[data.unit] && { incrs: STEPS[data.unit] }) };
    const longest = names ? Math.min(140, 16 + 7 * Math.max(...names.map((name) => name.length))) : 62;
    return [time, { stroke: ink, font, grid: line, ticks: { show: false }, size: longest, ...values }];
  }

  function lines(data) {
    const alone = data.series.length === 1;
    return {
      columns: [data.times, ...data.series.map((one) => one.values)],
      series: data.series.map((one, index) => ({
        label: one.name, stroke: colour(`c${index % 12}`), width: 1.6, spanGaps: true,
        fill: alone ? `${colour("c0")}22` : undefined,
      })),
    };
  }

  function bars(data) {
    const sums = stacked(data.series);
    const order = data.series.map((_, index) => index).reverse();  // the highest sums first, the others over them
    const paths = uPlot.paths.bars({ size: [0.85, 36, 2], align: 1 });
    const after = data.times.at(-1) + data.step;  // an empty bucket, so that uPlot knows how wide a bar is
    return {
      columns: [[...data.times, after], ...order.map((index) => [...sums[index], null])],
      series: order.map((index) => ({
        label: data.series[index].name, stroke: colour(`c${index % 12}`), fill: colour(`c${index % 12}`),
        width: 0, paths, points: { show: false },
      })),
    };
  }

  function heat(data) {
    const draw = (plot) => {
      const { ctx } = plot;
      ctx.save();
      ctx.fillStyle = colour("c0");
      data.cells.forEach((cells, bucket) => cells.forEach((value, at) => {
        if (!value) return;
        const left = plot.valToPos(data.times[at], "x", true);
        const right = plot.valToPos(data.times[at] + data.step, "x", true);
        const top = plot.valToPos(bucket + 1, "y", true), bottom = plot.valToPos(bucket, "y", true);
        ctx.globalAlpha = 0.18 + 0.82 * (value / data.highest);
        ctx.fillRect(left, top + 1, Math.max(2, right - left - 1), bottom - top - 2);
      }));
      ctx.restore();
    };
    return {
      columns: [data.times, data.times.map(() => null)], series: [{ label: "", points: { show: false } }],
      hooks: { draw: [draw] }, range: [0, data.buckets.length],
    };
  }

  function told(data, at) {
    if (data.kind === "heat") {
      return data.buckets.map((name, bucket) => ["c0", name, data.cells[bucket][at]]).filter(([, , value]) => value);
    }
    return data.series
      .map((one, index) => [`c${index % 12}`, one.name, one.values[at]])
      .filter(([, , value]) => value != null);
  }

  function line(name, text) {
    const made = document.createElement("div");
    const swatch = document.createElement("i"), words = document.createElement("span");
    swatch.className = `swatch ${name}`;
    words.textContent = text;
    made.append(swatch, words);
    return made;
  }

  function tip(data, marks) {
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    return {
      hooks: {
        init: [(plot) => plot.over.append(box)],
        setCursor: [(plot) => {
          const { idx, left, top } = plot.cursor;
          box.hidden = idx == null || left < 0 || data.times[idx] == null;
          if (box.hidden) return;
          const head = document.createElement("b");
          head.textContent = `${new Date(data.times[idx] * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
          const near = marks.filter(([at]) => Math.abs(plot.valToPos(at, "x") - left) < 4);
          const values = told(data, idx).slice(0, 12);
          box.replaceChildren(head,
            ...values.map(([name, label, value]) => line(name, `${label} ${amount(value, data.unit)}`)),
            ...near.slice(0, 3).map(([, name, title, text]) => line(`m-${name}`, `${title} · ${text}`)),
            ...(near.length > 3 ? [line("", `and ${near.length - 3} more marks`)] : []));
          const right = left > plot.over.clientWidth / 2;
          box.style.left = right ? "" : `${left + 12}px`;
          box.style.right = right ? `${plot.over.clientWidth - left + 12}px` : "";
          box.style.top = `${Math.min(top, plot.over.clientHeight / 2)}px`;
        }],
      },
    };
  }

  // Short strokes above the chart: long ones would hide it where much was done.
  function strokes(marks) {
    const draw = (plot) => {
      const { ctx, bbox } = plot, size = 9 * devicePixelRatio;
      ctx.save();
      marks.forEach(([at, name]) => {
        const x = plot.valToPos(at, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) return;
        ctx.fillStyle = colour(name);
        ctx.fillRect(x - 1, bbox.top - size - 2, 2, size);
      });
      ctx.restore();
    };
    return { hooks: { draw: [draw] } };
  }

  function limits(data) {
    const draw = (plot) => (data.thresholds ?? []).forEach(([at, name]) => {
      const { ctx, bbox } = plot, y = plot.valToPos(at, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) return;
      ctx.save();
      ctx.strokeStyle = colour(name);
      ctx.setLineDash([6, 6]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    });
    return { hooks: { draw: [draw] } };
  }

  function draw(place, data, marks) {
    const made = { lines, bars, heat }[data.kind](data);
    const end = data.kind === "lines" ? data.to : Math.max(data.to, data.times.at(-1) + data.step);
    const plot = new uPlot({
      width: place.clientWidth, height: 208, padding: [14, 34, 0, 0], legend: { show: false },
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      scales: {
        x: { auto: false, min: Math.min(data.from, data.times[0]), max: end },
        y: { range: made.range ?? ((_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.06]) },
      },
      series: [{}, ...made.series], axes: axes(data),
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 6 } },
      hooks: made.hooks ?? {}, plugins: [limits(data), strokes(marks), tip(data, marks)],
    }, made.columns, place);
    place.dataset.drawn = String(made.columns.length - 1);
    place.dataset.marks = String(marks.length);
    return plot;
  }

  const charts = [...document.querySelectorAll(".plot")].map((place) => ({
    place, data: JSON.parse(place.querySelector("script").textContent), plot: null,
    marks: JSON.parse(place.closest("section").querySelector("script.marks")?.textContent ?? "[]"),
  }));
  const redraw = () => charts.forEach((chart) => {
    chart.plot?.destroy();
    chart.plot = draw(chart.place, chart.data, chart.marks);
  });
  new ResizeObserver(() => charts.forEach(({ place, plot }) => {
    if (plot && plot.width !== place.clientWidth) plot.setSize({ width: place.clientWidth, height: plot.height });
  })).observe(document.body);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  const button = document.getElementById("theme"), root = document.documentElement;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
    redraw();
  });
  redraw();
})();
