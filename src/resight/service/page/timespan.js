// The part of the time that a time line shows.

const MARGIN = 12; // pixels between the ends and the first and last picture
const SHORTEST = 0.5; // seconds
const APART = 4; // pixels between pictures

/** From when to when; first, last: of all sightings, in seconds. */
export class Span {
  constructor(first, last) {
    this.pad = MARGIN;
    const isMoment = first === last;
    const around = isMoment ? Math.max(1, Math.abs(first) * 1e-9) : 0;
    this.first = first - around;
    this.last = last + around;
    this.shortest = isMoment ? this.whole : Math.min(SHORTEST, this.whole);
    [this.from, this.to] = [this.first, this.last];
  }

  get whole() {
    return this.last - this.first;
  }

  get isWhole() {
    return this.to - this.from >= this.whole * (1 - 1e-9);
  }

  get canZoom() {
    return this.to - this.from > this.shortest * (1 + 1e-9);
  }

  /** Leave room for pictures that are so wide. */
  leaveRoom(thumb) {
    this.pad = thumb / 2 + MARGIN;
  }

  /** Where a time is, in pixels of a time line that is `width` wide. */
  x(time, width) {
    return this.pad + this.share(time) * (width - 2 * this.pad);
  }

  /** Where a time is: 0 at the start of what is shown, 1 at its end. */
  share(time) {
    return (time - this.from) / (this.to - this.from);
  }

  /** Show `factor` as much time around a place, 0 to 1. */
  zoom(factor, at = 0.5) {
    const before = this.to - this.from;
    const length = Math.min(Math.max(before * factor, this.shortest), this.whole);
    const from = this.from + at * (before - length);
    this.set(from, length);
  }

  /** Move by a share of what is shown; whether that changed anything. */
  move(share) {
    const before = this.from;
    this.set(this.from + share * (this.to - this.from), this.to - this.from);
    return this.from !== before;
  }

  /** Have a time in sight; whether that changed anything. */
  bring(time) {
    const share = this.share(time);
    return share < 0 || share > 1 ? this.move(share - 0.5) : false;
  }

  /** Look closer at what lies between two times; false where it cannot be looked at closer. */
  show(from, to) {
    const length = Math.max((to - from) * 1.5, this.shortest);
    if (to <= from || length > 0.9 * (this.to - this.from)) return false;
    this.set((from + to - length) / 2, length);
    return true;
  }

  set(from, length) {
    this.from = Math.min(Math.max(from, this.first), this.last - length);
    this.to = this.from + length;
  }
}

/**
 * Sightings in sight, those of a camera that would overlap in piles: { x, crops }.
 * ordered: by time. thumb: how wide a picture is.
 */
export function layOut(ordered, span, width, thumb) {
  const piles = [];
  const lastOf = new Map();
  for (const crop of ordered) {
    const x = span.x(crop.time, width);
    if (x < -thumb || x > width + thumb) continue;
    const pile = lastOf.get(crop.camera);
    if (pile && x < pile.x + thumb + APART) pile.crops.push(crop);
    else {
      const made = { x, crops: [crop] };
      lastOf.set(crop.camera, made);
      piles.push(made);
    }
  }
  return piles;
}
