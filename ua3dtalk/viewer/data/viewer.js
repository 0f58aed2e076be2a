"use strict";

const find = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const config = JSON.parse(find("config").textContent);
const TURN = 0.4;  // degrees for a pixel of the mouse
const ASK = 400;  // ms: a slider is at rest
const SLOW = 70;  // ms between two pictures

function say(text, wrong = false) {
  find("message").textContent = text;
  find("message").classList.toggle("error", wrong);
}

// The way from the film's camera to the user's: degrees round the head, and how near.
class Orbit {
  constructor() { this.reset(); }

  reset() { Object.assign(this, { yaw: 0, pitch: 0, zoom: 1 }); }

  // As ua3dtalk/rendering/orbit.py: the camera goes round the centre, which keeps its place in the picture.
  around({ rotation, shift }, centre) {
    const [cy, sy, cp, sp] = [this.yaw, this.pitch].flatMap((angle) => {
      const radians = angle * Math.PI / 180;
      return [Math.cos(radians), Math.sin(radians)];
    });
    const turn = product([1, 0, 0, 0, cp, -sp, 0, sp, cp], [cy, 0, sy, 0, 1, 0, -sy, 0, cy]);
    const middle = times(rotation, centre).map((value, k) => value + shift[k]);
    const moved = times(turn, shift.map((value, k) => value - middle[k])).map((value, k) => value + middle[k]);
    moved[2] += middle[2] * (1 / this.zoom - 1);
    return { rotation: product(turn, rotation), shift: moved };
  }
}

class Viewer {
  constructor() {
    this.painter = new Painter(find("canvas"));
    this.sound = new Audio();
    this.orbit = new Orbit();
    this.strengths = {};
    this.playing = false;
    this.frame = 0;
    this.drawn = 0;  // pictures so far
    this.detail = 1;  // share of the screen's pixels along a side
    this.late = 0;  // pictures that came slowly, one after the other
    this.connect();
    new ResizeObserver(() => this.resize()).observe(this.painter.canvas);
  }

  // Whether the picture is another than what should be seen; the page rests while it is not.
  set stale(is) {
    this.old = is;
    if (is) this.wake();
  }

  wake() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.tick());
  }

  // Take a file's content; goes on where the last one was if it lasts as long.
  load(content) {
    const head = new MovingHead(content);
    const same = this.head?.frames === head.frames;
    const [frame, playing] = same ? [this.frame, this.playing] : [0, false];
    this.pause();
    this.head = head;
    if (this.sound.src) URL.revokeObjectURL(this.sound.src);
    const file = head.soundFile();
    if (file) this.sound.src = URL.createObjectURL(file);
    else this.sound.removeAttribute("src");
    find("time").max = head.frames - 1;
    const { comment } = head.document.asset.extras;
    find("told").textContent = comment ? `${comment}.` : "";
    find("doubting").hidden = !head.doubts;
    this.sliders();
    this.seek(frame);
    if (playing) this.play();
  }

  sliders() {
    const carried = Object.keys(this.head.expressions);
    const names = [...config.own, ...carried];
    find("emotions").hidden = names.length === 0;
    find("carried").hidden = carried.length === 0;
    const there = [...document.querySelectorAll(".slider input")].map((one) => one.name);
    if (String(there) === String(names)) return;
    this.strengths = {};
    find("sliders").replaceChildren(...names.map((name) => this.slider(name, carried.includes(name))));
  }

  slider(name, carried) {
    const row = document.createElement("label"), title = document.createElement("span");
    const range = document.createElement("input"), value = document.createElement("output");
    row.className = "slider";
    title.textContent = name;
    if (carried) title.append(Object.assign(document.createElement("small"), { textContent: "carried over" }));
    Object.assign(range, { type: "range", name, min: 0, max: config.strongest, step: 0.05, value: 0 });
    value.textContent = "0";
    range.addEventListener("input", () => this.ask(name, Number(range.value)));
    row.append(title, range, value);
    return row;
  }

  // Together emotions are no stronger than one may be: the others give way.
  ask(name, strength) {
    const before = JSON.stringify(this.asked());
    const others = Object.keys(this.strengths).filter((one) => one !== name);
    const rest = others.reduce((sum, one) => sum + this.strengths[one], 0);
    const share = Math.min(1, (config.strongest - strength) / Math.max(rest, 1e-9));
    for (const one of others) this.strengths[one] *= share;
    this.strengths[name] = strength;
    this.showStrengths();
    if (JSON.stringify(this.asked()) !== before) server?.askSoon(this.asked());
  }

  showStrengths() {
    for (const range of document.querySelectorAll(".slider input")) {
      range.value = this.strengths[range.name] ?? 0;
      range.nextElementSibling.textContent = Number(range.value).toFixed(2).replace(/\.?0+$/, "") || "0";
    }
    this.stale = true;
  }

  // Strengths of the emotions that only the server can show.
  asked() {
    return Object.fromEntries(config.own.map((name) => [name, Number((this.strengths[name] ?? 0).toFixed(3))]));
  }

  play() {
    if (!this.head) return;
    if (this.frame >= this.head.frames - 1) this.seek(0);
    this.playing = true;
    this.wake();
    this.since = performance.now() - this.frame / this.head.fps * 1000;
    if (this.sound.src) this.sound.play().catch((error) => { this.pause(); say(`no sound: ${error.message}`, true); });
    this.button();
  }

  pause() {
    this.playing = false;
    this.sound.pause();
    this.button();
  }

  button() {
    find("play").textContent = this.playing ? "❚❚" : "▶";
    find("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
  }

  seek(frame) {
    this.show(clamp(frame, 0, this.head.frames - 1));
    // The middle of the frame, or rounding would show the one before.
    if (this.sound.src) this.sound.currentTime = (this.frame + 0.5) / this.head.fps;
    this.since = performance.now() - this.frame / this.head.fps * 1000;
  }

  show(frame) {
    this.frame = frame;
    this.stale = true;
    find("time").value = frame;
    find("clock").textContent = `${(frame / this.head.fps).toFixed(1)} of ${(this.head.frames / this.head.fps).toFixed(1)} s`;
  }

  tick() {
    this.waiting = false;
    if (!this.head) return;
    this.hurry();
    if (this.playing) {
      const seconds = this.sound.src ? this.sound.currentTime : (performance.now() - this.since) / 1000;
      const frame = Math.floor(seconds * this.head.fps);
      if (frame !== this.frame) this.show(Math.min(frame, this.head.frames - 1));
      if (frame >= this.head.frames || this.sound.ended) this.pause();
    }
    if (this.old) this.paint();
    if (this.playing) this.wake();
  }

  // Where no graphics card helps, coarser pictures in time are better than fine ones too late.
  hurry() {
    const now = performance.now();
    this.late = this.busy && now - this.last > SLOW ? this.late + 1 : 0;
    this.last = now;
    this.busy = this.playing;
    if (this.late < 3 || this.painter.canvas.width <= this.head.width) return;
    this.late = 0;
    this.detail *= 0.7;
    this.resize();
  }

  paint() {
    this.stale = false;
    const doubt = find("doubt").checked && Boolean(this.head.doubts);
    find("scale").hidden = !doubt;
    this.head.pose(this.frame, this.strengths);
    const stance = find("follow").checked ? this.frame : 0;
    const view = this.orbit.around(this.head.view(stance), this.head.centre);
    const backdrop = [1, 3, 5].map((k) => parseInt(find("backdrop").value.slice(k, k + 2), 16) / 255);
    this.painter.paint(this.head, view, this.head.lenses.subarray(4 * stance, 4 * stance + 4), backdrop, doubt);
    this.drawn++;
    this.painter.canvas.dataset.frame = this.frame;
  }

  resize() {
    const canvas = this.painter.canvas, wanted = canvas.clientWidth * Math.min(devicePixelRatio, 2);
    const side = Math.round(Math.max(wanted * this.detail, Math.min(wanted, this.head?.width ?? wanted)));
    if (side > 0 && canvas.width !== side) canvas.width = canvas.height = side;
    this.stale = true;
  }

  connect() {
    const canvas = this.painter.canvas;
    find("play").addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    find("time").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    for (const id of ["follow", "doubt", "backdrop"]) find(id).addEventListener("input", () => { this.stale = true; });
    find("back").addEventListener("click", () => this.reset());
    find("calm").addEventListener("click", () => {
      for (const name of Object.keys(this.strengths)) this.strengths[name] = 0;
      this.showStrengths();
      server?.askSoon(this.asked());
    });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.near(Math.exp(-event.deltaY / 600));
    }, { passive: false });
    this.touch(canvas);
    document.addEventListener("keydown", (event) => this.key(event));
  }

  // One pointer goes round, two come nearer.
  touch(canvas) {
    const held = new Map();
    const apart = () => {
      const [a, b] = [...held.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = held.get(event.pointerId);
      if (!last) return;
      const before = held.size === 2 ? apart() : 0;
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (held.size === 2) this.near(apart() / Math.max(before, 1));
      else {
        this.orbit.yaw += TURN * (event.clientX - last.x);
        this.orbit.pitch = clamp(this.orbit.pitch - TURN * (event.clientY - last.y), -80, 80);
        this.stale = true;
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => held.delete(event.pointerId));
    }
  }

  near(factor) {
    this.orbit.zoom = clamp(this.orbit.zoom * factor, 0.4, 4);
    this.stale = true;
  }

  reset() {
    this.orbit.reset();
    this.stale = true;
  }

  key(event) {
    const at = event.target;
    if (!this.head || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " " && !at.matches("button, input[type=checkbox], input[type=file], input[type=color]")) {
      if (this.playing) this.pause();
      else this.play();
    } else if (step && !at.matches(".slider input")) {
      this.pause();
      this.seek(this.frame + step);
    } else return;
    event.preventDefault();
  }
}

// The program that runs on this computer and can hear: voices and the actor's own emotions.
class Server {
  constructor(viewer) {
    Object.assign(this, { viewer, version: 0, wanted: null });
    find("voice").hidden = false;
    find("file").addEventListener("change", (event) => this.voice(event.target.files[0]));
    document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
    document.addEventListener("dragleave", () => document.body.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("over");
      if (event.dataTransfer.files.length) this.voice(event.dataTransfer.files[0]);
    });
    this.watch();
  }

  async watch() {
    let busy = true;
    try {
      const status = await (await fetch("status")).json();
      busy = status.busy;
      find("progress").hidden = !busy;
      find("progress").value = status.share;
      if (status.error) say(status.error, true);
      else if (busy) say(status.doing);
      find("spoken").textContent = status.voice;
      if (status.version !== this.version) {
        this.viewer.load(await (await fetch(`head.glb?${status.version}`)).arrayBuffer());
        this.version = status.version;
        if (!status.error && !busy) say("");
      }
      if (!busy && this.wanted) this.post("emotions", JSON.stringify(this.wanted));
    } catch (error) {
      say(`ua3dtalk view does not answer (${error.message}): is it still running?`, true);
    }
    setTimeout(() => this.watch(), busy || this.wanted ? 250 : 1500);
  }

  async voice(file) {
    if (!file) return;
    find("file").value = "";
    if (file.size > config.bytes) {
      say(`${file.name} has ${Math.ceil(file.size / 1e6)} MB; ${Math.floor(config.bytes / 1e6)} MB is the most`, true);
      return;
    }
    say(`sending ${file.name}`);
    await this.post("voice", file, { "X-Name": encodeURIComponent(file.name) });
  }

  askSoon(emotions) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.wanted = emotions;
      this.post("emotions", JSON.stringify(emotions));
    }, ASK);
  }

  async post(path, body, headers = {}) {
    const answer = await fetch(path, { method: "POST", body, headers: { "X-Token": config.token, ...headers } });
    if (answer.status === 409 && path === "emotions") return;  // `watch` asks again when there is time
    if (path === "emotions") this.wanted = null;
    const { error } = await answer.json();
    if (error) say(error, true);
  }
}

let viewer = null, server = null;
try {
  viewer = new Viewer();
  if (config.token) server = new Server(viewer);
  else viewer.load(Uint8Array.from(atob(find("head").textContent.trim()), (one) => one.charCodeAt(0)).buffer);
} catch (error) {
  say(error.message, true);
}
