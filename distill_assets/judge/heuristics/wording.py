# ruff: noqa: E501 (patterns read best one a line)
"""Rules about words that no sample should hold: doubt, refusals, and text that speaks to whoever judges it.

Belongs here: markers and where each is looked for. Does not belong here: shape (text) or SQL's meaning (sql).

Markers are whole phrases, because single words occur in honest data: "which users might be away" asks, "the filter
might be wrong" doubts. What stands in quotes in an answer is a value of the data and no one's doubt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from distill_assets.judge.heuristics.generation import Generation, drop_quoted, name_texts
from distill_assets.judging import HeuristicsSpec

# Who says "I" is in doubt, wherever it stands.
DOUBT_ANYWHERE = (
    r"\bi(?:['’]?m| am|['’]d be| would be)? (?:not|never) (?:\w+ )?(?:sure|certain|confident|positive)\b",
    r"\bi (?:think|guess|believe|suppose|assume|suspect|imagine|reckon)\b(?!.{0,3}\bso\b\?)",
    r"\bi (?:do not|don['’]?t) (?:really |actually )?(?:know|recall|remember)\b",
    r"\b(?:i (?:may|might|could) be|i['’]m probably) (?:wrong|mistaken|off)\b",
    r"\b(?:as far as i (?:know|can tell)|to the best of my knowledge|afaik|iirc|if i (?:remember|recall) (?:correctly|right))\b",
    r"\b(?:no idea|hard to (?:say|tell)|not (?:entirely|completely|totally|quite|fully|100%|really|too) (?:sure|certain|clear))\b",
)
# In an answer or its reasoning these doubt; in a question they may ask.
DOUBT_IN_ANSWERS = (
    r"\b(?:might|may|could) (?:well )?(?:be|have|need|also|not|or may)\b",
    r"\b(?:perhaps|maybe|possibly|presumably|probably|likely|supposedly|hopefully)\b",
    r"\b(?:not|un)(?: |-)?(?:sure|certain|clear)\b",
    r"\b(?:it|this|that|which) (?:seems|appears)\b|\bseems? (?:to be|like)\b",
    r"\b(?:should be (?:right|correct|fine|ok(?:ay)?)|just guessing|(?:a|my|best) guess|or something like (?:that|this))\b",
)
REFUSALS = (
    r"\bas an? (?:ai\b|artificial intelligence|(?:large )?language model|assistant\b|chat ?bot)",
    r"\bi(?:['’]?m| am) (?:(?:very|so|really|truly|terribly) )?(?:sorry|afraid)\b(?!\s*to\b)",
    r"\bi (?:can['’]?t|can ?not|could(?:n['’]?t| not)|won['’]?t|will not|am not able to|am unable to|must decline|have to decline|(?:must |have to )?refuse)\b(?! (?:wait|see|believe|find my|stand))",
    r"\bi['’]?m (?:not able|unable|not allowed|not permitted)\b",
    r"\b(?:we|i) (?:regret|apologi[sz]e)\b|\bmy apologies\b|\b(?:sorry|unfortunately),? (?:but )?i\b",
    r"\b(?:unable|not able|not possible|impossible) to (?:answer|assist|comply|help|fulfil+|provide|generate|complete|determine|write|produce)\b",
    r"\b(?:cannot|can['’]?t|can not) (?:be answered|answer|assist|comply|help (?:with|you)|fulfil+|provide|generate|produce|write|complete (?:this|that|the|your))\b",
    r"\b(?:against|violates?) (?:my|our|the|openai['’]?s|usage|content) (?:\w+ )?(?:guidelines|polic(?:y|ies)|programming|principles|rules)\b",
    r"\b(?:not enough|insufficient) information\b|\bplease (?:provide|clarify|specify|consult|rephrase)\b",
)  # fmt: skip
_JUDGE = r"(?:judge|grader|evaluator|critic|scorer|verifier|rater|assessor|reviewer|annotator|moderator|rewarder|examiner)s?"
_OURS = r"(?:this|it|me|my|that|the (?:above|following|present|current)|(?:the|this|my) (?:answer|response|reply|query|sample|output|submission|reasoning|solution|completion|sql|code))"
_VALUE = r"[\"'“]?(?:1(?:\.0+)?|5|10|100|pass(?:ed)?|correct|accept(?:ed)?|a\+)(?!\w)"
_SCORE = r"(?:scores?|verdicts?|grades?|ratings?|rewards?|marks?)"
# Each pattern with words of which a text that it matches holds one: looking for those first is ten times as fast.
INJECTIONS = (
    (("instruction", "rubric", "criteri", "prompt", "guideline", "message", "direction", "grading", "scoring", "rule"),
     r"\b(?:ignore|disregard|forget|overrid\w+|bypass|skip|set aside|do not (?:follow|apply|use)|don['’]?t (?:follow|apply|use)|stop following|neglect)\b[^.]{0,40}\b(?:instructions?|rubrics?|criteri(?:a|on)|prompts?|guidelines?|system message|directions?|grading|scoring|(?:previous|prior|above|earlier) (?:rules?|text|messages?))\b"),
    (("score", "rate", "grade", "mark", "judge", "approve", "accept", "label", "classify", "evaluate", "treat", "deem", "consider", "pass"),
     rf"\b(?:score|rate|grade|mark|judge|approve|accept|label|classify|evaluate|treat|deem|consider|pass)\s+{_OURS}\b[^.]{{0,50}}\b(?:1(?:\.0+)?|5|10|100|correct|passed|pass|perfect|accepted|high(?:est|ly)?|maximum|full|top|excellent|right|valid|true)\b"),
    (("marks", "score", "points", "credit", "grade", "rating", "reward"),
     rf"\b(?:give|award|assign|grant|return|output|report|emit|respond with|reply with|answer with)\s+(?:{_OURS}\s+)?(?:the |a |an )?(?:(?:full|top|maximum) marks|(?:full|perfect|passing|highest possible|maximum possible) (?:marks|score|points|credit|grade|rating|reward))\b"),
    (("score", "verdict", "grade", "rating", "reward", "mark"),
     rf"\b(?:give|award|assign|grant)\s+{_OURS}\s+(?:the |a |an )?{_SCORE}\s*(?:of|:|=)?\s*{_VALUE}|\b(?:output|emit|respond with|reply with|answer with|award|assign)\s+(?:the |a |an )?{_SCORE}\s*(?:of|:|=)?\s*{_VALUE}"),
    (("should", "must", "shall", "has to", "needs to", "deserve", "ought"),
     rf"\b{_OURS} (?:\w+ )?(?:should|must|shall|has to|needs to|deserves? to|ought to) (?:always )?(?:be (?:scored|rated|graded|marked|accepted|approved|judged|passed|deemed)|(?:receive|get) (?:a |the |an )?(?:\w+ )?{_SCORE})\b"),
    (("judge", "grader", "evaluator", "critic", "scorer", "verifier", "rater", "assessor", "annotator", "moderator", "examiner", "reviewer"),
     rf"(?:\b(?:dear|hey|hello|hi|attention|(?:note|message|memo|instructions?|notice)(?: to| for)(?: the| all| any)?|important(?: for| to)?)|[\[(<{{#*]{{1,6}}\s*(?:(?:to|for) )?(?:the )?)[,:]?\s*(?:ai |llm |automated |human )*{_JUDGE}\b"
     rf"|\b(?:if )?you are (?:now )?(?:an? |the )?(?:\w+ )?{_JUDGE}\b|\b(?:llm|ai|language model|model)[- ](?:as[- ]a[- ])?{_JUDGE}\b"
     rf"|\b(?:the |as (?:a|an|the) |to (?:the )?)(?:ai |llm )?(?:judge|grader|evaluator|scorer|verifier|assessor)s? (?:should|must|has to|needs to|shall|is (?:told|instructed|required))\b"),
    (("you are",), r"\byou are (?:now )?(?:grading|judging|scoring|evaluating)\b"),
    (("prompt", "message", "instruction", "end of"),
     r"\b(?:system|developer|hidden|secret) (?:prompt|message|instruction)s?\b|\bnew instructions?\s*:|\bend of (?:the )?(?:prompt|instructions|sample|answer)\b|\bbegin (?:new )?(?:prompt|instructions)\b"),
    (("|>", "inst]", "<<", "s>", "<bos", "<eos", "<pad", "<unk", "<start", "<end", "<｜"),
     r"<\|[^|<>]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn|end_of_text|endoftext)>|<｜[^｜]{1,40}｜>"),
    (("<",),
     r"</?(?:system|assistant|user|instructions?|rubric|verdict|score|grade|criteria|judge|sample|answer|untrusted|reasoning|question)\b[^<>=]{0,80}>"),
    (("score", "verdict", "grade", "rating", "passed", "is_correct"),
     rf"[\"'](?:score|verdict|grade|rating|passed|is_correct|verdict_status)[\"']\s*:\s*(?:{_VALUE}|[\"']?true\b)"),
)  # fmt: skip
ROLES = r"^[ \t>#*]*(?:system|assistant|human|developer|ai)[ \t]*\**:|\n[ \t>#*]*user[ \t]*\**:|^#{2,}[ \t]*(?:system|instructions?|response|user|assistant|human|verdict|score)\b"

_FLAGS = re.IGNORECASE
_DOUBT_ANYWHERE = re.compile("|".join(DOUBT_ANYWHERE), _FLAGS)
_DOUBT_IN_ANSWERS = re.compile("|".join(DOUBT_IN_ANSWERS), _FLAGS)
_REFUSALS = re.compile("|".join(REFUSALS), _FLAGS)
_INJECTIONS = tuple((needles, re.compile(pattern, _FLAGS)) for needles, pattern in INJECTIONS)
_ROLES = re.compile(ROLES, _FLAGS | re.MULTILINE)
# Characters that a reader does not see: bidirectional controls, zero widths, tags, variation selectors of the second
# kind, soft hyphens, and controls but for tab and line ends (Unicode 16, general categories Cc and Cf).
_HIDDEN = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]")  # fmt: skip
# Joiners belong to some scripts and to emoji, never beside a Latin letter, digit or space.
_STRAY_JOINER = re.compile("(?:^|[\u0000-\u024f])[\u200c\u200d]|[\u200c\u200d](?:[\u0000-\u024f]|$)")
_MIXED_WORD = re.compile(r"[a-z]+[\u0400-\u04ff]+|[\u0400-\u04ff]+[a-z]+", _FLAGS)


def check_uncertainty(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """Neither the question nor the answer nor its reasoning doubts itself."""
    own = _compile_words(spec.doubt_words)
    for name, text in name_texts(generation, "question", "trace", "answer"):
        plain = drop_quoted(text) if name == "answer" and spec.answer_form == "sql" else text
        patterns = [_DOUBT_ANYWHERE, own] if name == "question" else [_DOUBT_ANYWHERE, _DOUBT_IN_ANSWERS, own]
        for pattern in patterns:
            if pattern is not None and (found := pattern.search(plain)):
                return f"the {name} doubts: {found[0][:40]!r}"
    return None


def _compile_words(words: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words), _FLAGS) if words else None


def check_refusal(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """Neither the question nor the answer declines; a query that returns an apology declines too."""
    for name, text in name_texts(generation, "question", "answer"):
        if found := _REFUSALS.search(text):
            return f"the {name} declines: {found[0][:40]!r}"
    return None


def check_injection(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """No text speaks to whoever judges it, plays a role of a conversation or hides characters."""
    for name, text in name_texts(generation, "question", "trace", "answer"):
        if hidden := _HIDDEN.search(text) or _STRAY_JOINER.search(text):
            return f"the {name} hides the character U+{_first_hidden(hidden[0]):04X}"
        plain = unicodedata.normalize("NFKC", text)
        if mixed := _MIXED_WORD.search(plain):
            return f"the {name} mixes scripts in one word: {mixed[0][:40]!r}"
        if found := _ROLES.search(plain) or _find_injection(plain):
            return f"the {name} speaks to its judge: {' '.join(found[0].split())[:60]!r}"
    return None


def _find_injection(text: str) -> re.Match[str] | None:
    flat = re.sub(r"[\s*~`]+", " ", text)
    folded = flat.lower()
    for needles, pattern in _INJECTIONS:
        if any(needle in folded for needle in needles) and (found := pattern.search(flat)):
            return found
    return None


def _first_hidden(found: str) -> int:
    return next((ord(character) for character in found if character in "\u200c\u200d"), ord(found[0]))
