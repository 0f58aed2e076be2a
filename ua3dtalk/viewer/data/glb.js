"use strict";

// A moving head out of the file that `ua3dtalk say --out head.glb` writes (docs/viewer.md).
class MovingHead {
  constructor(content) {
    const words = new DataView(content);
    if (content.byteLength < 20 || words.getUint32(0, true) !== 0x46546c67) throw new Error("this is no .glb file");
    const textLength = words.getUint32(12, true);
    this.document = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 20, textLength)));
    this.content = content;
    this.start = 28 + textLength;
    Object.assign(this, this.document.extras.ua3dtalk);
    const primitive = this.document.meshes[0].primitives[0];
    const splats = "KHR_gaussian_splatting:";
    const attribute = (name) => this.numbers(primitive.attributes[name]);
    this.count = this.document.accessors[primitive.attributes.POSITION].count;
    this.base = {
      POSITION: attribute("POSITION"),
      [`${splats}ROTATION`]: attribute(`${splats}ROTATION`),
      [`${splats}SCALE`]: attribute(`${splats}SCALE`),
    };
    if ("_DOUBT" in primitive.attributes) this.base._DOUBT = attribute("_DOUBT");
    this.opacities = attribute(`${splats}OPACITY`);
    this.harmonics = [];
    for (let degree = 0; degree < 4; degree++) {
      for (let k = 0; k < 2 * degree + 1; k++) {
        const name = `${splats}SH_DEGREE_${degree}_COEF_${k}`;
        if (name in primitive.attributes) this.harmonics.push(attribute(name));
      }
    }
    this.readTargets(primitive.targets ?? []);
    this.readFilm();
    this.moved = {};
    for (const name of Object.keys(this.base)) this.moved[name] = new Float32Array(this.base[name].length);
    this.positions = this.moved.POSITION;
    this.rotations = this.moved[`${splats}ROTATION`];
    this.scales = this.moved[`${splats}SCALE`];
    this.doubts = this.moved._DOUBT;
  }

  // Values of an accessor with nothing between them; whole numbers become -1..1 or 0..1.
  numbers(index) {
    const told = this.document.accessors[index];
    const width = { SCALAR: 1, VEC3: 3, VEC4: 4 }[told.type];
    const [Kind, most] = {
      5120: [Int8Array, 127], 5121: [Uint8Array, 255], 5122: [Int16Array, 32767], 5123: [Uint16Array, 65535],
      5126: [Float32Array, 1],
    }[told.componentType];
    const found = new Float32Array(told.count * width);
    if (told.bufferView === undefined) return found;
    const view = this.document.bufferViews[told.bufferView];
    const rows = new Kind(this.content, this.start + view.byteOffset, view.byteLength / Kind.BYTES_PER_ELEMENT);
    const stride = (view.byteStride ?? width * Kind.BYTES_PER_ELEMENT) / Kind.BYTES_PER_ELEMENT;
    for (let row = 0, at = 0; row < told.count; row++) {
      for (let column = 0; column < width; column++) found[at++] = rows[row * stride + column] / most;
    }
    return found;
  }

  // Each target moves one attribute; POSITION is there in all of them, and takes no space where it is zero.
  readTargets(targets) {
    this.morphs = targets.map((target) => {
      const name = Object.keys(target).find((one) => one !== "POSITION") ?? "POSITION";
      return { name, values: this.numbers(target[name]) };
    });
  }

  readFilm() {
    const film = this.document.animations[0];
    const track = (path) => {
      const channel = film.channels.find((one) => one.target.path === path);
      return channel ? this.numbers(film.samplers[channel.sampler].output) : new Float32Array(0);
    };
    this.weights = track("weights");
    this.places = track("translation");
    this.turns = track("rotation");
    this.lenses = this.numbers(this.intrinsics);
  }

  // The file of its sound, if it has one.
  soundFile() {
    if (!this.sound) return null;
    const view = this.document.bufferViews[this.sound.bufferView];
    const bytes = new Uint8Array(this.content, this.start + view.byteOffset, view.byteLength);
    return new Blob([bytes], { type: this.sound.mimeType });
  }

  // Move the Gaussians to where a frame has them, in emotions {label: strength} that it lies ready for.
  pose(frame, emotions) {
    for (const [name, values] of Object.entries(this.base)) this.moved[name].set(values);
    const weights = Array.from(this.morphs, (_, k) => this.weights[frame * this.morphs.length + k] ?? 0);
    let total = 0;
    for (const [label, strength] of Object.entries(emotions)) {
      if (!(label in this.expressions)) continue;
      const [target, weight] = this.expressions[label];
      weights[target] += strength * weight;
      total += strength;
    }
    this.morphs.forEach(({ name, values }, k) => {
      const weight = weights[k], moved = this.moved[name];
      if (weight !== 0) for (let i = 0; i < values.length; i++) moved[i] += weight * values[i];
    });
    if (this.doubts && total > 0) {
      // No data of the actor stands behind these faces: they are the less sure the stronger they are.
      const more = this.novelty.map((one) => one * 2 * Math.log(1 + total));
      for (let i = 0; i < this.count; i++) this.doubts[i] += more[i < this.mouth ? 0 : 1];
    }
  }

  // How the film saw the head in a frame: rotation (rows, 9) and shift (3) from the head to the camera, OpenCV axes.
  view(frame) {
    const [x, y, z, w] = this.turns.subarray(4 * frame, 4 * frame + 4);
    // The file's axes are turned by half around x, both of the head and of the camera; here both are turned back.
    const toHead = matrix(w, x, -y, -z);
    const rotation = [0, 3, 6, 1, 4, 7, 2, 5, 8].map((k) => toHead[k]);
    const place = [this.places[3 * frame], -this.places[3 * frame + 1], -this.places[3 * frame + 2]];
    return { rotation, shift: times(rotation, place).map((value) => -value) };
  }
}

// Rotation matrix, row by row, of a quaternion of any length.
function matrix(w, x, y, z) {
  const s = 2 / (w * w + x * x + y * y + z * z);
  return [
    1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y),
    s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x),
    s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y),
  ];
}

function times(a, v) {
  return [0, 3, 6].map((row) => a[row] * v[0] + a[row + 1] * v[1] + a[row + 2] * v[2]);
}

function product(a, b) {
  const columns = [0, 1, 2].map((k) => times(a, [b[k], b[3 + k], b[6 + k]]));
  return [0, 1, 2].flatMap((row) => columns.map((column) => column[row]));
}
