document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const latex = button.dataset.latex;
  try {
    await navigator.clipboard.writeText(latex);
  } catch {
    const area = document.createElement("textarea");
    area.value = latex;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, 1200);
});
addEventListener("beforeprint", () => document.querySelectorAll("details.folded").forEach((d) => { d.open = true; }));

const mark = () => document.querySelectorAll(".scroll:not(.code)").forEach((box) => {
  box.parentElement.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 1);
});
addEventListener("resize", mark);
document.addEventListener("toggle", mark, true);
mark();
