// What the theme leaves open for who reads without a mouse or a screen: tables and code that scroll can be reached by
// keyboard, headings of the sidebar have a level, and the two sides of the page a name.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("article table, article pre")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "This page");
});
