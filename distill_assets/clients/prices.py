"""What a call costs: a recipe's own price, else the price table of the genai-prices package.

Belongs here: finding a price and applying it. Does not belong here: budgets (journal) or estimates (generate/estimate).
"""

from __future__ import annotations

from typing import NamedTuple

from distill_assets.clients.endpoints import find_base_url, name_kind
from distill_assets.clients.replies import Usage
from distill_assets.teachers import TeacherSpec

BATCH_FRAC = 0.5  # OpenAI, Azure, Groq, Mistral and Gemini sell batched calls at half the price (their price pages, 2026-11)
PROVIDERS = {
    "openai": "openai", "azure": "azure", "openrouter": "openrouter", "gemini": "google", "anthropic": "anthropic",
    "deepseek": "deepseek",
}  # fmt: skip
SAMPLE_TOKENS = 1_000  # small enough for the first tier of a price that depends on a prompt's length


class Price(NamedTuple):
    """USD per token, and where the figures are from."""

    input_usd: float
    cached_input_usd: float
    output_usd: float
    source: str

    def cost_usd(self, usage: Usage) -> float:
        """What a call cost, to a billionth as the journal counts. Reasoning tokens are among the completion's."""
        fresh = max(0, usage.prompt - usage.cached)
        cached = min(usage.cached, usage.prompt)
        return round(fresh * self.input_usd + cached * self.cached_input_usd + usage.completion * self.output_usd, 9)

    def at_most_usd(self, prompt_tokens: int, max_tokens: int) -> float:
        """The most that a call can cost."""
        return prompt_tokens * self.input_usd + max_tokens * self.output_usd


FREE = Price(0.0, 0.0, 0.0, "free: the embedded teacher")


def find_price(spec: TeacherSpec) -> Price | None:
    """The price of a teacher's calls, or None when nobody knows it. A batch costs half."""
    if spec.is_embedded:
        return FREE
    price = _from_recipe(spec) or _from_table(spec)
    if price is None or not spec.batch:
        return price
    half = (price.input_usd * BATCH_FRAC, price.cached_input_usd * BATCH_FRAC, price.output_usd * BATCH_FRAC)
    return Price(*half, f"{price.source}, half of it for a batch")


def _from_recipe(spec: TeacherSpec) -> Price | None:
    if (own := spec.price) is None:
        return None
    cached = own.input_usd_per_mtok if own.cached_input_usd_per_mtok is None else own.cached_input_usd_per_mtok
    return Price(own.input_usd_per_mtok / 1e6, cached / 1e6, own.output_usd_per_mtok / 1e6, f"the recipe, as of {own.as_of}")


def _from_table(spec: TeacherSpec) -> Price | None:
    from importlib.metadata import version

    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    kind = name_kind(spec)
    if kind not in PROVIDERS:  # a server of one's own that calls a model by a known name has no known price
        return None

    def rate(tokens: Tokens) -> float:
        return float(calc_price(tokens, model_ref=spec.model, provider_id=PROVIDERS[kind]).total_price) / SAMPLE_TOKENS

    try:
        fresh, out = rate(Tokens(input_tokens=SAMPLE_TOKENS)), rate(Tokens(output_tokens=SAMPLE_TOKENS))
        cached = rate(Tokens(input_tokens=SAMPLE_TOKENS, cache_read_tokens=SAMPLE_TOKENS))
    except LookupError:
        return None
    return Price(fresh, cached, out, f"genai-prices {version('genai-prices')} for {find_base_url(spec)}")
