"""Formulas in LaTeX as text: a terminal shows no formulas, and models write them all the same.

Covers what answers about training hold: Greek letters, powers and indices, fractions, roots, relations, sums. A command
that is unknown stays as its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_INLINE = re.compile(r"(?<![\\\w$])\$(?=\S)([^$\n]{1,300}?)(?<=\S)\$(?![\w$])")
_DISPLAY = re.compile(r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|\\\((.{1,500}?)\\\)", re.DOTALL)
_CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`)", re.DOTALL)
_IS_FORMULA = re.compile(r"[\\^_{}]|^[A-Za-z]$|^[A-Za-z]\s*[=<>≤≥]")

_SYMBOL_PAIRS = """
alpha=α beta=β gamma=γ delta=δ epsilon=ε varepsilon=ε zeta=ζ eta=η theta=θ vartheta=θ iota=ι kappa=κ lambda=λ
mu=μ nu=ν xi=ξ pi=π rho=ρ sigma=σ tau=τ upsilon=υ phi=φ varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ
Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Phi=Φ Psi=Ψ Omega=Ω times=× cdot=· div=÷ pm=± mp=∓ le=≤ leq=≤ ge=≥ geq=≥ neq=≠
ne=≠ approx=≈ sim=∼ simeq=≃ propto=∝ ll=≪ gg=≫ in=∈ notin=∉ infty=∞ to=→ rightarrow=→ leftarrow=←
Rightarrow=⇒ leftrightarrow=↔ mapsto=↦ sum=∑ prod=∏ int=∫ partial=∂ nabla=∇ forall=∀ exists=∃ cup=∪ cap=∩
subset=⊂ emptyset=∅ ldots=… cdots=⋯ dots=… star=* ast=* circ=∘ odot=⊙ otimes=⊗ oplus=⊕ top=ᵀ ell=ℓ hbar=ℏ
degree=° prime=′ mid=| vert=| lVert=‖ rVert=‖ Vert=‖ lvert=| rvert=| langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋
lceil=⌈ rceil=⌉
"""
_SYMBOLS = dict(pair.split("=") for pair in _SYMBOL_PAIRS.split())
_SPACED = frozenset("×·÷±∓≤≥≠≈∼≃∝≪≫∈∉→←⇒↔↦∪∩⊂⊙⊗⊕")
"""Signs that have a space on both sides."""
_ABOVE = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "dot": "\u0307", "vec": "\u20d7", "overline": "\u0305"}
_PLAIN = (
    "text", "mathrm", "mathbf", "mathit", "mathcal", "mathbb", "mathsf", "operatorname", "textbf", "textit",
    "boldsymbol",
)  # fmt: skip
_SUPER = str.maketrans("0123456789+-=()nitTabcdefghjklmoprsuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵗᵀᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵘᵛʷˣʸᶻ")
_SUB = str.maketrans("0123456789+-=()aeijnorstux", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑᵢⱼₙₒᵣₛₜᵤₓ")
_GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
_FRACTION = re.compile(rf"\\[dt]?frac\s*{_GROUP}\s*{_GROUP}")
_ROOT = re.compile(rf"\\sqrt\s*{_GROUP}")
_WRAPPED = re.compile(rf"\\({'|'.join((*_PLAIN, *_ABOVE))})\s*(?:{_GROUP}|(\w))")
_RAISED = re.compile(rf"([\^_])\s*(?:{_GROUP}|(\\?\w|[*+-]))")
_SPACES = re.compile(r"\\(?:[,;:!> ]|quad\b|qquad\b)|~")
_SIZES = re.compile(r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|limits|nolimits)\b\.?")
_COMMAND = re.compile(r"\\([A-Za-z]+)")


def latex_to_text(markdown: str) -> str:
    """Return Markdown with its formulas as text; code stays as it is, and so do amounts of dollars."""
    parts = _CODE.split(markdown)
    return "".join(part if index % 2 else _without_formulas(part) for index, part in enumerate(parts))


def _without_formulas(text: str) -> str:
    shown = _DISPLAY.sub(lambda found: _formula(next(part for part in found.groups() if part is not None)), text)
    return _INLINE.sub(lambda found: _formula(found[1]) if _IS_FORMULA.search(found[1]) else found[0], shown)


def _formula(source: str) -> str:
    """Return one formula as text, protected from Markdown."""
    text = _SIZES.sub("", _SPACES.sub(" ", source.strip().replace("\\\\", " ")))
    text = _until_stable(text, lambda found: _WRAPPED.sub(_wrapped, found))
    text = _until_stable(text, lambda found: _ROOT.sub(r"√(\1)", _FRACTION.sub(_fraction, found)))
    text = _COMMAND.sub(_symbol, text)
    text = _until_stable(text, lambda found: _RAISED.sub(_raised, found))
    text = re.sub(r"\\([%$#&_{}|])", r"\1", text).replace("{", "").replace("}", "").replace("&", "")
    return re.sub(r"([*_`])", r"\\\1", " ".join(text.split()))


def _until_stable(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to nested groups, the innermost first."""
    for _ in range(40):
        changed = change(text)
        if changed == text:
            return text
        text = changed
    return text


def _symbol(found: re.Match[str]) -> str:
    sign = _SYMBOLS.get(found[1], found[1])
    return f" {sign} " if sign in _SPACED else sign


def _wrapped(found: re.Match[str]) -> str:
    name, inner = found[1], found[2] if found[2] is not None else found[3]
    return inner + _ABOVE[name] if name in _ABOVE else inner


def _fraction(found: re.Match[str]) -> str:
    above, below = (part if re.fullmatch(r"[\w.\\]+", part.strip()) else f"({part})" for part in (found[1], found[2]))
    return f"{above}/{below}"


def _raised(found: re.Match[str]) -> str:
    """Return a power or an index in raised or lowered letters, where all of them exist."""
    inner = (found[2] if found[2] is not None else found[3]).strip()
    moved = inner.translate(_SUPER if found[1] == "^" else _SUB)
    if inner and not any(a == b and a.isalnum() for a, b in zip(inner, moved, strict=True)) and " " not in inner:
        return moved
    return f"{found[1]}{inner}" if len(inner) == 1 else f"{found[1]}({inner})"
