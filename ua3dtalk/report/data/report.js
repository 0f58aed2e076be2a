"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const data = JSON.parse(document.getElementById("data").textContent);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function svg(name, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function html(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  // One film holds all panels side by side; each canvas shows its part of the frame that is decoded now, so that
  // pictures and sound cannot run out of step.
  class Player {
    constructor(film) {
      Object.assign(this, film);
      this.root = document.getElementById(film.id);
      this.video = this.root.querySelector("video");
      this.canvases = [...this.root.querySelectorAll("canvas")];
      this.frame = 0;
      this.wanted = null;  // frame that is asked for and not yet shown
      this.sought = null;  // frame of the seek that runs
      this.listeners = [];
      const find = (selector) => this.root.querySelector(selector);
      this.playButton = find(".play");
      this.range = find("input[type=range]");
      this.output = find("output");
      this.soundButton = find(".sound");
      for (const hidden of this.root.querySelectorAll("[hidden]")) hidden.hidden = false;
      this.video.controls = false;
      this.video.classList.add("clock");
      this.playButton.addEventListener("click", () => this.toggle());
      find(".back").addEventListener("click", () => this.step(-1));
      find(".next").addEventListener("click", () => this.step(1));
      this.range.addEventListener("input", () => this.seek(Number(this.range.value)));
      this.soundButton.addEventListener("click", () => {
        this.video.muted = !this.video.muted;
        this.soundButton.setAttribute("aria-pressed", String(this.video.muted));
        this.soundButton.textContent = this.video.muted ? "sound off" : "sound on";
      });
      find(".speed").addEventListener("change", (event) => { this.video.playbackRate = Number(event.target.value); });
      for (const canvas of this.canvases) canvas.addEventListener("click", () => this.toggle());
      this.root.addEventListener("keydown", (event) => this.key(event));
      for (const name of ["play", "pause", "ended"]) this.video.addEventListener(name, () => this.paintButton());
      this.video.addEventListener("seeked", () => this.seeked());
      this.video.addEventListener("loadeddata", () => this.show(this.video.currentTime));
      if (this.video.readyState >= 2) this.show(this.video.currentTime);
      this.watch();
    }

    watch() {
      if ("requestVideoFrameCallback" in this.video) {
        const next = (_, frame) => {
          this.show(frame.mediaTime);
          this.video.requestVideoFrameCallback(next);
        };
        this.video.requestVideoFrameCallback(next);
      } else {
        const next = () => {
          if (!this.video.paused) this.show(this.video.currentTime);
          requestAnimationFrame(next);
        };
        requestAnimationFrame(next);
      }
    }

    get playing() { return !this.video.paused && !this.video.ended; }

    show(time) {
      this.frame = clamp(Math.floor(time * this.fps + 0.25), 0, this.frames - 1);
      this.canvases.forEach((canvas, place) => {
        const left = (place % this.columns) * this.side;
        const top = Math.floor(place / this.columns) * this.side;
        canvas.getContext("2d").drawImage(this.video, left, top, this.side, this.side, 0, 0, this.side, this.side);
      });
      this.root.dataset.frame = this.frame;
      this.tell(this.frame);
    }

    // Everything but the pictures: where the time line stands.
    tell(frame) {
      const mark = this.marks.findLast(([first]) => first <= frame);
      const label = mark && mark[1] ? ` · ${mark[1]}` : "";
      this.output.textContent = `${(frame / this.fps).toFixed(2)} s · frame ${frame + 1} of ${this.frames}${label}`;
      this.range.value = frame;
      this.range.setAttribute("aria-valuetext", this.output.textContent);
      for (const listener of this.listeners) listener(frame);
    }

    // While one seek runs, only the last of those that follow it counts. The wanted frame is kept until it is there:
    // steps that come quicker than pictures start from it.
    seek(frame) {
      this.wanted = clamp(Math.round(frame), 0, this.frames - 1);
      this.tell(this.wanted);
      if (!this.video.seeking) this.seekWanted();
    }

    seekWanted() {
      this.sought = this.wanted;
      this.video.currentTime = (this.sought + 0.5) / this.fps;
    }

    seeked() {
      if (this.wanted !== null && this.wanted !== this.sought) {
        this.seekWanted();
        return;
      }
      this.wanted = null;
      if (!this.playing) this.show(this.video.currentTime - 0.5 / this.fps);
    }

    step(frames) {
      this.video.pause();
      this.seek((this.wanted ?? this.frame) + frames);
    }

    toggle() {
      if (this.playing) this.video.pause();
      else this.video.play().catch(() => {});
    }

    paintButton() {
      this.playButton.textContent = this.playing ? "❚❚" : "▶";
      this.playButton.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    }

    key(event) {
      if (event.target.closest("select, input")) return;
      const steps = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key in steps) this.step(steps[event.key]);
      else if (event.key === " " && !event.target.closest("button")) this.toggle();
      else return;
      event.preventDefault();
    }
  }

  function ticks(low, high, count) {
    const rough = (high - low) / Math.max(count, 1) || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
    const found = [];
    for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-9; tick += 1) found.push(tick * step);
    return found;
  }

  function logTicks(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of [1, 2, 5]) {
        const tick = factor * 10 ** power;
        if (tick >= low * 0.999 && tick <= high * 1.001) found.push(tick);
      }
    }
    return found.length > 6 ? found.filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9) : found;
  }

  const said = (value) => {
    if (value === null || value === undefined) return "–";
    if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(0);
    return String(Number(value.toPrecision(3))).replace("-", "−");
  };

  // A scale from values to px.
  function scale(low, high, from, to, log = false) {
    const map = log ? Math.log10 : (value) => value;
    const share = (value) => (map(value) - map(low)) / (map(high) - map(low) || 1);
    return (value) => from + share(value) * (to - from);
  }

  function limits(values, chart) {
    const known = values.filter((value) => value !== null && (!chart.log || value > 0));
    let low = chart.low ?? Math.min(...known);
    let high = chart.high ?? Math.max(...known);
    if (!(high > low)) [low, high] = chart.log ? [low / 2, low * 2] : [low - 0.5, low + 0.5];
    if (chart.log) return [low / 1.1, high * 1.1];
    const room = 0.06 * (high - low);
    return [chart.low ?? low - room, chart.high ?? high + room];
  }

  function path(values, x, y) {
    let text = "";
    let pen = false;
    values.forEach((value, k) => {
      if (value === null) { pen = false; return; }
      text += `${pen ? "L" : "M"}${x(k).toFixed(1)},${y(value).toFixed(1)}`;
      pen = true;
    });
    return text;
  }

  class Chart {
    constructor(chart) {
      Object.assign(this, chart);
      this.host = document.getElementById(chart.id);
      this.player = chart.kind === "time" ? players.get(chart.id.split(".")[0]) : undefined;
      if (this.lines.length) this.host.before(this.legend());
      if (this.player) this.player.listeners.push((frame) => this.follow(frame));
      this.width = 0;
      new ResizeObserver(() => this.fit()).observe(this.host);
      this.fit();
    }

    legend() {
      this.readouts = this.lines.map(() => html("output"));
      const items = this.lines.map((line, k) => {
        const key = svg("svg", { class: "key", width: 22, height: 8, "aria-hidden": "true" },
          svg("line", { x1: 1, x2: 21, y1: 4, y2: 4, class: `line ${line.role}${line.dashed ? " dashed" : ""}` }));
        return html("span", "", key, line.name, this.player ? this.readouts[k] : "");
      });
      return html("p", "legend", ...items);
    }

    fit() {
      const width = Math.round(this.host.clientWidth);
      if (!width || width === this.width) return;
      this.width = width;
      this.host.replaceChildren(this.kind === "pairs" ? this.pairs(Math.min(width, 340)) : this.over(width));
      if (this.player) this.follow(this.player.frame);
    }

    frame(width, height, label) {
      return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
    }

    yAxis(canvas, y, found, left, right) {
      for (const tick of found) {
        canvas.append(
          svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }),
          svg("text", { class: "tick", x: left - 6, y: y(tick) + 3.5, "text-anchor": "end" }, said(tick)));
      }
    }

    // Lines over time or over iterations.
    over(width) {
      const [left, right, top, height] = [46, width - 10, 16, this.player ? 150 : 170];
      const bottom = height - 20;
      const count = this.lines[0].values.length;
      const values = this.lines.flatMap((line) => line.values);
      const [low, high] = limits(values, this);
      const steps = this.x.length ? [this.x[0], this.x[this.x.length - 1]] : [0, Math.max(count - 1, 1) / this.player.fps];
      const at = scale(steps[0], steps[1], left, right);
      this.place = scale(0, Math.max(count - 1, 1), left, right);
      const y = scale(low, high, bottom, top, this.log);
      const canvas = this.frame(width, height, this.host.parentElement.querySelector("figcaption").textContent);
      if (this.shade.length) {
        const loud = scale(0, 1, bottom, top + 10);
        const outline = path(this.shade, this.place, loud);
        canvas.append(svg("path", { class: "shade", d: `${outline}L${right},${bottom}L${left},${bottom}Z` }));
      }
      this.yAxis(canvas, y, this.log ? logTicks(low, high) : ticks(low, high, 3), left, right);
      for (const tick of ticks(steps[0], steps[1], clamp(width / 110, 2, 10))) {
        const text = this.player ? `${said(tick)} s` : tick >= 1000 ? `${said(tick / 1000)}k` : said(tick);
        canvas.append(svg("text", { class: "tick", x: at(tick), y: height - 4, "text-anchor": "middle" }, text));
      }
      for (const [first, label] of this.player ? this.player.marks : []) {
        if (first) canvas.append(svg("line", { class: "mark", x1: this.place(first - 0.5), x2: this.place(first - 0.5), y1: 2, y2: bottom }));
        canvas.append(svg("text", { class: "mark", x: this.place(first) + 4, y: 11 }, label));
      }
      for (const line of [...this.lines].reverse()) {
        const known = this.log ? line.values.map((value) => (value > 0 ? value : null)) : line.values;
        canvas.append(svg("path", { class: `line ${line.role}${line.dashed ? " dashed" : ""}`, d: path(known, this.place, y) }));
      }
      if (this.player) this.seekable(canvas, count, top, bottom, left, right);
      return canvas;
    }

    seekable(canvas, count, top, bottom, left, right) {
      this.cursor = svg("line", { class: "cursor", y1: 2, y2: bottom });
      canvas.append(this.cursor);
      canvas.classList.add("seekable");
      for (const [key, value] of Object.entries({ tabindex: 0, role: "slider", "aria-valuemin": 1, "aria-valuemax": count })) {
        canvas.setAttribute(key, value);
      }
      const go = (event) => {
        const box = canvas.getBoundingClientRect();
        const x = ((event.clientX - box.left) * this.width) / box.width;
        this.player.seek(((x - left) / (right - left)) * (count - 1));
      };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); go(event); });
      canvas.addEventListener("pointermove", (event) => { if (event.buttons) go(event); });
      canvas.addEventListener("keydown", (event) => this.player.key(event));
    }

    follow(frame) {
      if (!this.cursor) return;
      const x = this.place(frame);
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      this.cursor.parentElement.setAttribute("aria-valuenow", frame + 1);
      this.readouts.forEach((readout, k) => { readout.textContent = said(this.lines[k].values[frame]); });
    }

    // Two values of each point against each other, and the line on which they are equal.
    pairs(width) {
      const [left, top] = [46, 10];
      const side = width - left - 12;
      const [right, bottom] = [left + side, top + side];
      const height = bottom + 36;
      const [low, high] = limits(this.points.flatMap((point) => [point[0], point[1]]), this);
      const x = scale(low, high, left, right, this.log);
      const y = scale(low, high, bottom, top, this.log);
      const canvas = this.frame(width, height, this.host.parentElement.querySelector("figcaption").textContent);
      const found = this.log ? logTicks(low, high) : ticks(low, high, 4);
      this.yAxis(canvas, y, found, left, right);
      for (const tick of found) canvas.append(svg("text", { class: "tick", x: x(tick), y: bottom + 15, "text-anchor": "middle" }, said(tick)));
      canvas.append(
        svg("line", { class: "equal", x1: left, y1: bottom, x2: right, y2: top }),
        svg("text", { class: "axis", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, this.axes[0]),
        svg("text", { class: "axis", transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, this.axes[1]));
      for (const [a, b, label] of this.points) {
        const name = `${label}: ${this.axes[0]} ${said(a)}, ${this.axes[1]} ${said(b)}`;
        canvas.append(svg("circle", { class: "point", cx: x(a), cy: y(b), r: 3.5 }, svg("title", {}, name)));
      }
      return canvas;
    }
  }

  // One of several tables at a time; on paper, and without this script, all of them.
  function tabs(root) {
    const choice = root.querySelector(".choice");
    const parts = [...root.querySelectorAll(":scope > .tab")];
    choice.hidden = parts.length < 2;
    root.classList.toggle("chosen", parts.length > 1);
    const choose = (chosen) => parts.forEach((part, k) => part.classList.toggle("away", k !== chosen));
    choice.addEventListener("change", (event) => choose(Number(event.target.value)));
    choose(0);
  }

  const players = new Map(data.films.map((film) => [film.id, new Player(film)]));
  data.charts.forEach((chart) => new Chart(chart));
  document.querySelectorAll(".tabs").forEach(tabs);
  // Sound of one film at a time.
  for (const one of players.values()) {
    one.video.addEventListener("play", () => {
      for (const other of players.values()) if (other !== one) other.video.pause();
    });
  }
})();
