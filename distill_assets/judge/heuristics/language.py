# ruff: noqa: E501 (one language a line)
"""Whether a question is in the recipe's language.

Belongs here: scripts and function words. Does not belong here: any other rule.

By function words and scripts rather than by a library: detectors that are well kept carry models of 20 to 100 MB and
guess on the four to ten words, half of them names, that a question has. This rule says something only when another
script outweighs the recipe's, or when at least two function words of another language stand against fewer of the
recipe's; a text of fewer than three words says nothing of its language and passes.
"""

from __future__ import annotations

import re
import unicodedata

from distill_assets.judge.heuristics.generation import Generation
from distill_assets.judging import HeuristicsSpec

MIN_WORDS, MIN_FOREIGN_WORDS, MIN_FOREIGN_LETTERS_FRAC = 3, 2, 0.4
# Frequent function words and question words; none of another language's list that English also writes.
WORDS = {
    "en": "the a an of in is are was were what which who whom whose how many much when where why and or not for with by to from on at list show give find count number all each every per that than more less least most do does did have has had their there it its be been me my we our us you your they them his her name total average between after before over under without any only but as this these those top",
    "de": "der das und ist nicht ein eine einen einem einer welche welcher welches welchen wie viele wieviele wer wo wann warum mit von für auf aus bei nach über unter zwischen alle jede jeder jedes haben hatte wurde wurden werden sind ich wir sie ihr zeige liste gib nenne oder mehr weniger als am höchsten durchschnittliche anzahl im zum zur kunden des dem den",
    "fr": "le les des une est sont et pas quel quelle quels quelles combien qui où quand pourquoi avec pour dans sur chez par plus moins que du de la aux ont été était nous vous ils elles liste montre donne tous toutes chaque entre leur leurs ce cette ces nombre moyenne",
    "es": "el los las una unos es son y cuál cual cuáles cuántos cuantos cuántas cuantas quién quien quiénes dónde donde cuándo por qué para con del más menos lista muestra dame todos todas cada entre su sus este esta estos tienen hay fueron han número promedio de la en que",
    "it": "il lo gli una sono e quale quali quanti quante chi dove perché per con del della dei delle degli più meno elenca mostra dammi tutti tutte ogni tra loro questo questa hanno nel nella di che la numero media stati",
    "pt": "o os as uma umas são e qual quais quantos quantas quem onde quando por para com do da dos das mais menos liste mostre todos todas cada entre seu sua seus este esta tem têm tinha foram não número média de que em no na",
    "nl": "het een en is niet welke welk wat hoeveel wie waar wanneer waarom met van voor op uit bij naar tussen alle elke heeft hebben werd worden zijn ik wij zij toon lijst geef of meer minder dan hoogste gemiddelde aantal de per",
    "ru": "и в не на что как сколько кто где когда с по для из от за все каждый больше меньше какие какой покажи список",
    "ar": "من في على إلى كم ما هل هو هي التي الذي عن مع كل أو و",
    "zh": "",
    "ja": "",
    "ko": "",
}  # fmt: skip
SCRIPTS = {"ru": ("CYRILLIC",), "ar": ("ARABIC",), "zh": ("CJK",), "ja": ("CJK", "HIRAGANA", "KATAKANA"), "ko": ("HANGUL",)}
# Words that stand in names of people, places and dishes in any language.
PARTICLES = frozenset(["de", "la", "le", "les", "du", "des", "del", "el", "los", "las", "di", "della", "da", "do", "dos", "van", "von", "der", "den", "das", "au", "et", "y", "e", "o"])  # fmt: skip
_LISTS = {language: frozenset(words.split()) for language, words in WORDS.items()}


def check_language(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The question is not clearly in another language than the recipe's."""
    if spec.language is None:
        return None
    scripts = SCRIPTS.get(spec.language, ("LATIN",))
    letters = [character for character in generation.question if character.isalpha()]
    foreign = [character for character in letters if not character.isascii() or scripts != ("LATIN",)]
    other = [c for c in foreign if not unicodedata.name(c, "").startswith((*scripts, "MODIFIER"))]
    if len(letters) >= MIN_WORDS and len(other) / len(letters) > MIN_FOREIGN_LETTERS_FRAC:
        return (
            f"{len(other) / len(letters):.0%} of the question's letters are of another script than the language {spec.language!r}"
        )
    return _find_language(re.findall(r"[^\W\d_]+", generation.question.lower()), spec.language)


def _find_language(words: list[str], expected: str) -> str | None:
    if len(words) < MIN_WORDS or not _LISTS[expected]:
        return None
    own = sum(word in _LISTS[expected] for word in words)
    for language, known in _LISTS.items():
        hits = {word for word in words if word in known and word not in _LISTS[expected] | PARTICLES}
        if len(hits) >= MIN_FOREIGN_WORDS and sum(word in hits for word in words) > own:
            return f"the question is in {language!r} by its words ({', '.join(sorted(hits)[:4])}), not in {expected!r}"
    return None
