// A time line under mouse, wheel and fingers.

const STILL = 4; // pixels that a pointer may move and still press

/** Drag to move; two fingers, or Ctrl and the wheel, to zoom; the wheel sideways to move. */
export function listenToPointers(box, span, draw, zoom) {
  const down = new Map();
  const share = (x) => (x - box.getBoundingClientRect().left) / box.clientWidth;
  const apart = () => {
    const [a, b] = down.values();
    return Math.max(1, Math.abs(a - b));
  };
  const middle = () => {
    const [a, b] = down.values();
    return share((a + b) / 2);
  };

  box.addEventListener(
    "wheel",
    (event) => {
      const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!event.ctrlKey && !isSideways) return;
      event.preventDefault();
      if (event.ctrlKey) zoom(Math.exp(event.deltaY / 200), share(event.clientX));
      else if (span.move(event.deltaX / box.clientWidth)) draw();
    },
    { passive: false },
  );

  box.addEventListener("pointerdown", (event) => down.set(event.pointerId, event.clientX));
  box.addEventListener("pointermove", (event) => {
    const { pointerId, clientX } = event;
    if (!down.has(pointerId)) return;
    const by = clientX - down.get(pointerId);
    if (down.size === 2) {
      const before = apart();
      down.set(pointerId, clientX);
      zoom(before / apart(), middle());
    } else if (box.hasPointerCapture(pointerId)) {
      down.set(pointerId, clientX);
      if (span.move(-by / box.clientWidth)) draw();
    } else if (Math.abs(by) > STILL && !span.isWhole) {
      box.setPointerCapture(pointerId); // so that what is below is not pressed
    }
  });
  for (const over of ["pointerup", "pointercancel", "pointerleave"]) {
    box.addEventListener(over, ({ pointerId }) => down.delete(pointerId));
  }
}
