// Loaded on every page. A displayed formula that is wider than the screen scrolls on its own:
// let the keyboard reach it, too.
const reachWideFormulas = () => {
  for (const formula of document.querySelectorAll('mjx-container[display="true"]'))
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
};
window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(reachWideFormulas));
window.addEventListener("resize", reachWideFormulas);
