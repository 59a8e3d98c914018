// A picture that reports where it was clicked, as fractions from its lower left corner, with its words below.
function render({ model, el }) {
  const figure = document.createElement("figure");
  const picture = document.createElement("img");
  const words = document.createElement("figcaption");
  figure.style.margin = "0";
  picture.style.cssText = "max-width: 100%; cursor: crosshair; display: block";
  words.setAttribute("aria-live", "polite");
  let address = null;

  function draw() {
    const old = address;
    address = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
    picture.src = address;
    if (old) URL.revokeObjectURL(old);
  }
  function write() {
    picture.alt = model.get("words");
    words.textContent = model.get("words"); // text, never markup
  }
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const y = 1 - (event.clientY - box.top) / box.height;
    model.set("clicked", [x, y, model.get("clicked")[2] + 1]); // counted, so that the same place can be clicked twice
    model.save_changes();
  });
  model.on("change:value", draw);
  model.on("change:words", write);
  draw();
  write();
  figure.append(picture, words);
  el.append(figure);
  return () => {
    model.off("change:value", draw);
    model.off("change:words", write);
    if (address) URL.revokeObjectURL(address);
  };
}
export default { render };
