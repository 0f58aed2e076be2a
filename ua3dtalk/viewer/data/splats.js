"use strict";

// Gaussians on the screen as ua3dtalk/splat/rasterise.py draws them, back to front: the inside of the mouth, then the
// face. Ellipses are computed here and sorted; the graphics card only fills and blends them.

const LEAST_ALPHA = 1 / 255, MOST_ALPHA = 0.999, WIDEST = 3.33, NEAR = 0.01;
const FLOATS = 12;  // of one Gaussian: place 2, longer half axis 2, shorter over longer 1, conic 3, opacity 1, colour 3
const ROW = 256;  // Gaussians in a line of the table
const BUCKETS = 1 << 14;
const SH1 = 0.4886025119029199, SH0 = 0.28209479177387814;
const SH2 = [1.0925484305920792, 0.31539156525252005, 0.5462742152960396];
const SH3 = [0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277];
const BEHIND = 1e-5;  // variance of what is behind the head

// Two triangles for each Gaussian, which are looked up in a picture of numbers: drawing one quad many times ("instances")
// is slow where no graphics card helps.
const DRAW_VERTEX = `#version 300 es
precision highp float;
uniform highp sampler2D table;
uniform vec2 size;
out vec2 off;
flat out vec3 shape;
flat out vec4 shade;
void main() {
  int splat = gl_VertexID / 6, corner = gl_VertexID % 6;
  ivec2 at = ivec2(${FLOATS / 4} * (splat % ${ROW}), splat / ${ROW});
  vec4 first = texelFetch(table, at, 0), second = texelFetch(table, at + ivec2(1, 0), 0);
  shade = texelFetch(table, at + ivec2(2, 0), 0).yzwx;
  shape = second.yzw;
  corner = corner > 2 ? corner - 2 : corner;
  vec2 side = vec2(corner & 1, corner >> 1) * 2.0 - 1.0;
  off = side.x * first.zw + side.y * second.x * vec2(-first.w, first.z);
  vec2 place = (first.xy + off) / size * 2.0 - 1.0;
  gl_Position = vec4(place.x, -place.y, 0.0, 1.0);
}`;

const DRAW_FRAGMENT = `#version 300 es
precision highp float;
in vec2 off;
flat in vec3 shape;
flat in vec4 shade;
out vec4 result;
void main() {
  float sigma = 0.5 * (shape.x * off.x * off.x + shape.z * off.y * off.y) + shape.y * off.x * off.y;
  float alpha = min(shade.a * exp(-sigma), ${MOST_ALPHA});
  if (alpha < ${LEAST_ALPHA}) discard;
  result = vec4(shade.rgb * alpha, alpha);
}`;

const SHOW_VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0);
}`;

// Doubt: 0 black, 1/3 red, 2/3 yellow, 1 white, as ua3dtalk/rendering/uncertainty.py has it.
const SHOW_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D drawn;
uniform vec3 backdrop;
uniform float white;
out vec4 result;
void main() {
  vec4 head = texelFetch(drawn, ivec2(gl_FragCoord.xy), 0);
  vec3 colour = head.rgb + (1.0 - head.a) * backdrop;
  if (white > 0.0) {
    float deviation = sqrt(head.r + (1.0 - head.a) * ${BEHIND}) / white;
    colour = clamp(3.0 * deviation - vec3(0.0, 1.0, 2.0), 0.0, 1.0);
  }
  result = vec4(colour, 1.0);
}`;

class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false });
    if (!gl) throw new Error("this browser has no WebGL 2, which draws the head: allow graphics, or take another one");
    this.gl = gl;
    // Thousands of faint layers need more than the 8 bits of the screen.
    this.fine = Boolean(gl.getExtension("EXT_color_buffer_float"));
    this.draw = program(gl, DRAW_VERTEX, DRAW_FRAGMENT);
    this.show = program(gl, SHOW_VERTEX, SHOW_FRAGMENT);
    this.table = gl.createTexture();
    this.plain = gl.createVertexArray();
    this.picture = gl.createTexture();
    this.target = gl.createFramebuffer();
  }

  // head: a MovingHead in its pose; view: rotation and shift; lens: fx, fy, cx, cy of the film's picture;
  // backdrop: colour of 0..1; doubt: show where the head is unsure.
  paint(head, view, lens, backdrop, doubt) {
    const gl = this.gl, { width, height } = this.canvas;
    this.fit(width, height);
    const count = this.project(head, view, lens, doubt);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(this.draw);
    gl.uniform2f(gl.getUniformLocation(this.draw, "size"), width, height);
    gl.bindVertexArray(this.plain);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    const texels = ROW * FLOATS / 4, rows = Math.ceil(count / ROW);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, texels, rows, 0, gl.RGBA, gl.FLOAT, this.sorted.subarray(0, 4 * texels * rows));
    nearest(gl);
    gl.drawArrays(gl.TRIANGLES, 0, 6 * count);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.BLEND);
    gl.useProgram(this.show);
    gl.uniform3fv(gl.getUniformLocation(this.show, "backdrop"), backdrop);
    gl.uniform1f(gl.getUniformLocation(this.show, "white"), doubt ? head.white : 0);
    gl.bindTexture(gl.TEXTURE_2D, this.picture);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  fit(width, height) {
    if (this.width === width && this.height === height) return;
    const gl = this.gl;
    [this.width, this.height] = [width, height];
    gl.bindTexture(gl.TEXTURE_2D, this.picture);
    const [inner, type] = this.fine ? [gl.RGBA16F, gl.HALF_FLOAT] : [gl.RGBA8, gl.UNSIGNED_BYTE];
    gl.texImage2D(gl.TEXTURE_2D, 0, inner, width, height, 0, gl.RGBA, type, null);
    nearest(gl);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.picture, 0);
  }

  // Ellipses of all Gaussians that can be seen, sorted; returns their number.
  project(head, { rotation: r, shift }, lens, doubt) {
    if (this.rows?.length !== head.count * FLOATS) {
      this.rows = new Float32Array(head.count * FLOATS);
      this.sorted = new Float32Array(Math.ceil(head.count / ROW) * ROW * FLOATS);
      this.depths = new Float32Array(head.count);
    }
    const zoom = this.width / head.width, [fx, fy] = [lens[0] * zoom, lens[1] * zoom];
    // The picture stays in the middle of a canvas of another shape.
    const cx = lens[2] * zoom, cy = lens[3] * zoom + (this.height - head.height * zoom) / 2;
    const blur = head.blur * zoom * zoom;  // as wide as where it learned, whatever the size
    const borders = [
      [-cx - 0.15 * this.width, 1.15 * this.width - cx].map((x) => x / fx),
      [-cy - 0.15 * this.height, 1.15 * this.height - cy].map((y) => y / fy),
    ];
    const eye = times([0, 3, 6, 1, 4, 7, 2, 5, 8].map((k) => r[k]), shift).map((value) => -value);
    let count = 0, faces = 0;
    for (const [first, end] of [[head.mouth, head.count], [0, head.mouth]]) {
      faces = count;
      for (let i = first; i < end; i++) {
        const x = head.positions[3 * i], y = head.positions[3 * i + 1], z = head.positions[3 * i + 2];
        const depth = r[6] * x + r[7] * y + r[8] * z + shift[2], opacity = head.opacities[i];
        if (depth <= NEAR || opacity < LEAST_ALPHA) continue;
        const u = (r[0] * x + r[1] * y + r[2] * z + shift[0]) / depth;
        const v = (r[3] * x + r[4] * y + r[5] * z + shift[1]) / depth;
        const at = FLOATS * count;
        if (!this.ellipse(at, head, i, r, u, v, depth, fx, fy, borders, blur, opacity)) continue;
        const left = (this.rows[at] = fx * u + cx), top = (this.rows[at + 1] = fy * v + cy);
        const reach = Math.hypot(this.rows[at + 2], this.rows[at + 3]);
        if (left + reach <= 0 || left - reach >= this.width || top + reach <= 0 || top - reach >= this.height) continue;
        this.rows[at + 8] = opacity;
        if (doubt) this.rows.fill(Math.exp(head.doubts[i]), at + 9, at + 12);
        else this.colour(at + 9, head, i, x - eye[0], y - eye[1], z - eye[2]);
        this.depths[count++] = depth;
      }
    }
    this.sort(0, faces);
    this.sort(faces, count);
    return count;
  }

  // Axes and conic of a Gaussian (Zwicker et al., EWA splatting); false where there is nothing to see.
  ellipse(at, head, i, r, u, v, depth, fx, fy, borders, blur, opacity) {
    const q = head.rotations;
    const turn = matrix(q[4 * i + 3], q[4 * i], q[4 * i + 1], q[4 * i + 2]);
    const uu = Math.min(Math.max(u, borders[0][0]), borders[0][1]);
    const vv = Math.min(Math.max(v, borders[1][0]), borders[1][1]);
    let xx = blur, yy = blur, xy = 0, cross = 0;
    const a = [0, 0, 0], b = [0, 0, 0];
    for (let k = 0; k < 3; k++) {
      const width = Math.max(head.scales[3 * i + k], 0);
      const x = turn[k] * width, y = turn[3 + k] * width, z = turn[6 + k] * width;
      const deep = r[6] * x + r[7] * y + r[8] * z;
      a[k] = (fx / depth) * (r[0] * x + r[1] * y + r[2] * z - uu * deep);
      b[k] = (fy / depth) * (r[3] * x + r[4] * y + r[5] * z - vv * deep);
      xx += a[k] * a[k];
      yy += b[k] * b[k];
      xy += a[k] * b[k];
    }
    // |a x b|^2 instead of xx yy - xy^2: the same without cancellation.
    for (let k = 0; k < 3; k++) cross += (a[k] * b[(k + 1) % 3] - a[(k + 1) % 3] * b[k]) ** 2;
    const determinant = cross + blur * (xx + yy - 2 * blur) + blur * blur;
    const extent = Math.min(Math.sqrt(2 * Math.log(opacity / LEAST_ALPHA)), WIDEST);
    if (!(determinant > 0) || !(extent > 0)) return false;
    // The ellipse's axes: no pixel outside of them is above the least alpha.
    const middle = (xx + yy) / 2, spread = Math.hypot((xx - yy) / 2, xy), angle = 0.5 * Math.atan2(2 * xy, xx - yy);
    const longer = extent * Math.sqrt(middle + spread), shorter = extent * Math.sqrt(Math.max(middle - spread, blur));
    this.rows[at + 2] = longer * Math.cos(angle);
    this.rows[at + 3] = longer * Math.sin(angle);
    this.rows[at + 4] = shorter / longer;
    this.rows[at + 5] = yy / determinant;
    this.rows[at + 6] = -xy / determinant;
    this.rows[at + 7] = xx / determinant;
    return true;
  }

  // Harmonics seen along a direction (ua3dtalk/splat/sh.py).
  colour(at, head, i, x, y, z) {
    const size = 1 / Math.hypot(x, y, z), h = head.harmonics;
    const basis = harmonics(h.length, x * size, y * size, z * size);
    for (let channel = 0; channel < 3; channel++) {
      let sum = 0.5;
      for (let k = 0; k < h.length; k++) sum += basis[k] * h[k][3 * i + channel];
      this.rows[at + channel] = Math.max(sum, 0);
    }
  }

  // Rows first .. end - 1 into `sorted`, the farthest first: counted into buckets of depth.
  sort(first, end) {
    if (end === first) return;
    let near = Infinity, far = -Infinity;
    for (let i = first; i < end; i++) {
      near = Math.min(near, this.depths[i]);
      far = Math.max(far, this.depths[i]);
    }
    const scale = (BUCKETS - 1) / Math.max(far - near, 1e-9);
    const starts = new Uint32Array(BUCKETS + 1), buckets = new Uint32Array(end - first);
    for (let i = first; i < end; i++) {
      const bucket = Math.floor((far - this.depths[i]) * scale);
      buckets[i - first] = bucket;
      starts[bucket + 1]++;
    }
    for (let k = 0; k < BUCKETS; k++) starts[k + 1] += starts[k];
    for (let i = first; i < end; i++) {
      const to = first + starts[buckets[i - first]]++;
      this.sorted.set(this.rows.subarray(FLOATS * i, FLOATS * (i + 1)), FLOATS * to);
    }
  }

  // The canvas as uint8 rows from the top, RGBA; right after `paint`.
  pixels() {
    const { gl, width, height } = this, found = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, found);
    const rows = Array.from({ length: height }, (_, k) => found.subarray(4 * width * k, 4 * width * (k + 1)));
    return rows.reverse().flatMap((row) => Array.from(row));
  }
}

function harmonics(count, x, y, z) {
  const found = [SH0];
  if (count > 1) found.push(-SH1 * y, SH1 * z, -SH1 * x);
  const xx = x * x, yy = y * y, zz = z * z;
  if (count > 4) {
    found.push(SH2[0] * x * y, -SH2[0] * y * z, SH2[1] * (2 * zz - xx - yy), -SH2[0] * x * z, SH2[2] * (xx - yy));
  }
  if (count > 9) {
    found.push(
      -SH3[0] * y * (3 * xx - yy), SH3[1] * x * y * z, -SH3[2] * y * (4 * zz - xx - yy),
      SH3[3] * z * (2 * zz - 3 * xx - 3 * yy), -SH3[2] * x * (4 * zz - xx - yy), SH3[4] * z * (xx - yy),
      -SH3[0] * x * (xx - 3 * yy),
    );
  }
  return found;
}

function nearest(gl) {
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}
