"""Language identification on the Universal Declaration of Human Rights in many languages."""

from __future__ import annotations

import zipfile
from collections import Counter, defaultdict
from pathlib import Path

from measure import Options, Row, Table

from dslm.preprocess.clean.language import Language, LanguageConfig
from dslm.preprocess.document import Document

FILE = Path("multilingual_small/udhr2.zip")

GROUPS = {
    "English, German, French, Spanish, Chinese, Japanese, Russian": (
        "eng:en deu:de deu_1901:de fra:fr spa:es cmn_hans:zh cmn_hant:zh jpn:ja rus:ru"
    ),
    "other Germanic": (
        "nld:nl afr:af swe:sv dan:da nob:no nno:nn isl:is fao:fo ltz:lb fry:fy ydd:yi"
    ),
    "other Romance": (
        "ita:it por_PT:pt por_BR:pt ron:ro cat:ca glg:gl oci:oc roh:rm lat:la cos:co wln:wa"
    ),
    "other Slavic": "ukr:uk bel:be bul:bg mkd:mk srp_cyrl:sr hrv:hr slv:sl ces:cs slk:sk pol:pl",
    "Uralic, Baltic, Greek, Celtic, Basque": (
        "fin:fi est:et hun:hu sme:se lit:lt lav:lv ell_monotonic:el gle:ga gla:gd cym:cy bre:br "
        "eus:eu als:sq"
    ),
    "Turkic, Caucasian, Mongolian": (
        "tur:tr azj_latn:az azj_cyrl:az kaz:kk kir:ky uzn_latn:uz tuk_latn:tk tat:tt uig_arab:ug "
        "uig_latn:ug kat:ka hye:hy oss:os abk:ab khk:mn"
    ),
    "Semitic, Iranian": "arb:ar heb:he pes_1:fa tgk:tg urd:ur amh:am tir:ti mlt:mt",
    "Indic, Dravidian": "hin:hi mar:mr nep:ne ben:bn pan:pa guj:gu tam:ta kan:kn mal:ml",
    "East Asian": "kor:ko vie:vi lao:lo tha:th mya:my khm:km bod:bo",
    "Austronesian": "ind:id jav:jv sun:su plt:mg mri:mi smo:sm ton:to fij:fj tah:ty",
    "African": (
        "swh:sw yor:yo ibo:ig zul:zu xho:xh som:so sna:sn sot:st tsn:tn kin:rw run:rn lin:ln "
        "lug:lg wol:wo nya_chechewa:ny hau_NG:ha bam:bm ewe:ee "
        "aka_asante:ak tso_MZ:ts ssw:ss ven:ve"
    ),
    "Navajo, planned languages": "nav:nv epo:eo ido:io ina:ia",
}
"""The files of each group, and the code that is right for each."""

ALIKE = {"nn": "no", "hr": "sr", "bs": "sr", "ms": "id"}
"""Written standards so near to each other that either is right."""

SIZES = {"whole texts": None, "500 characters": 500, "200 characters": 200}


def measure(options: Options) -> Table:
    """The share of texts, and of pieces of them, whose language is found."""
    rows = []
    shares: dict[str, list[str]] = defaultdict(list)
    with zipfile.ZipFile(options.corpora / FILE) as archive:
        texts = {Path(name).stem: name for name in archive.namelist()}
        for group, files in GROUPS.items():
            pairs = [pair.split(":") for pair in files.split()]
            known = [
                (archive.read(texts[name]).decode(), code) for name, code in pairs if name in texts
            ]
            for size in SIZES.values():
                shares[group].append(f"{100 * _share(known, size):.1f} %")
    for number, (group, found) in enumerate(shares.items()):
        wanted = "≥ 97 %" if number == 0 else "—"
        rows.append(Row(group, wanted, found[0], f"{found[1]}, {found[2]}"))
    setting = (
        "the Universal Declaration of Human Rights, a text or two for each language; whole texts "
        "under “ours”; pieces of 500 and of 200 characters beside them (no peer here)"
    )
    return Table("Languages identified", setting, rows)


def _share(known: list[tuple[str, str]], size: int | None) -> float:
    """Texts, or pieces of a size, whose language is found."""
    documents, codes = [], []
    for text, code in known:
        plain = " ".join(text.split())
        pieces = [plain] if size is None else _pieces(plain, size)
        documents += [Document(piece) for piece in pieces]
        codes += [code] * len(pieces)
    Language(LanguageConfig(on=True))(documents, Counter())
    found = [_standard(document.language) for document in documents]
    return sum(a == _standard(b) for a, b in zip(found, codes, strict=True)) / len(codes)


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text) - size + 1, size)]


def _standard(code: str) -> str:
    return ALIKE.get(code, code)
