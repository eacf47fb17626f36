"""Whether an error says that no credit is left: by its code, its type or its words. Pure.

Providers tell it under any status (400, 401, 402, 403, 412, 429, 5xx), so the status decides
nothing. What comes back by itself, a limit per minute or per day, is no lack of credit, whatever
word it uses: Google calls its limits per minute a quota, OpenAI's mention billing.
"""

import re
from typing import Final

_CODE: Final = re.compile(
    r"(?i)insufficient[ _.-]?(?:user[ _.-]?|account[ _.-]?|token[ _.-]?)?"
    r"(?:quota|balance|credits?|funds?)(?:[ _.-]?error)?"
    r"|(?:exceeded[ _.-]?current[ _.-]?quota"
    r"|credit[ _.-]?balance[ _.-]?(?:too[ _.-]?low|exhausted))(?:_error)?"
    r"|billing(?:[ _.-](?:error|hard[ _.-]limit[ _.-]reached|not[ _.-]active|not[ _.-]enabled))"
    r"|enforced_spend_limit_reached|spend(?:ing)?_limit_(?:exceeded|reached)|budget_exceeded(?:_error)?"
    r"|(?:out|no)_of_credits?|no_credits?|credits?_(?:exhausted|depleted|required|limit_exceeded)"
    r"|payment_required(?:_error)?|pre_consume_(?:token_)?quota_failed|pre_consumed_quota_failed"
    r"|arrearage|account_?(?:overdue|in_?arrears)(?:_?error)?|service_?overdue|quota_?exhausted"
    r"|balance_(?:not_enough|insufficient)|not_enough_(?:balance|credits?|quota)"
    r"|allocationquota\.freetieronly|.*\.(?:free)?resourcepackexhausted|.*\.servicestopunpaid"
    r"|.*\.(?:balanceinsufficient|insufficientbalance|accountarrears?)"
)

_MONEY: Final = r"(?:balance|credits?|funds?|quota|prepaid[ \w]{0,20})"
_LACKS: Final = (
    r"insufficient|not enough|lacks?|no (?:remaining |more |available )?|out of|zero|negative"
)
_WORDS: Final = re.compile(
    rf"(?i)(?:(?:{_LACKS})\s*(?:\w+ ){{0,3}}{_MONEY}\b(?! metric)"
    rf"|{_MONEY}\b(?: (?:\w+ )?(?:is|are|has been|have been|was|left))? (?:\w+ )?"
    r"(?:too low|insufficient|exhausted|depleted|used up|expired|not enough|negative|overdue)"
    r"|(?:used|run|running|ran) (?:out of|up) (?:\w+ ){0,3}"
    r"(?:credits?|funds?|balance|free allocation)"
    r"|(?:used|consumed|exhausted) all (?:\w+ ){0,3}credits?"
    r"|exceeded your (?:current quota|monthly included credits|credit limit)"
    r"|does(?:n't| not) have (?:\w+ ){0,3}(?:credits?|balance|funds)"
    r"|requires? more credits|can only afford|payment required"
    r"|(?:credit|key) limit (?:exceeded|reached)"
    r"|(?:overdue|unpaid) (?:balance|bill|payment|invoice)"
    r"|budget (?:has been |is |was )?(?:exceeded|exhausted)|exceeded (?:\w+ ){0,2}budget"
    r"|(?:spend(?:ing)?|billing|usage hard) (?:hard )?limit (?:\w+ ){0,9}(?:reached|exceeded)"
    r"|reached (?:\w+ ){0,3}(?:spend(?:ing)?|billing) limit"
    r"|(?:free (?:tier|quota|trial|allocation)) (?:\w+ ){0,6}(?:exhausted|used up|ended|expired)"
    r"|failure to pay|account is (?:in arrears|not in good standing)|account is in good standing"
    r"|billing (?:\w+ )?(?:not active|disabled|not enabled)|top[- ]up your|recharge your"
    r")"
    r"|欠费|欠費|余额不足|餘額不足|余额已|额度不足|額度不足|额度已(?:用尽|用完|耗尽|达|超)|額度已(?:用|達|耗)"
    r"|剩余额度|预扣费额度失败|預扣費|(?:积分|点数|算力|资源包|套餐|免费额度)\w{0,6}(?:不足|用尽|用完|耗尽|用光)"
    r"|请(?:先)?充值|請(?:先)?(?:充值|儲值)|充值后"
    r"|残高(?:が)?(?:不足|足り)|クレジット(?:残高)?(?:が|を)?(?:不足|足り|使い切|ありません)|課金(?:が)?不足"
    r"|(?:잔액|잔고|크레딧|크레디트|요금|한도)(?:이|가|을|를)?\s?(?:부족|소진|없습니다|모두 사용)"
    r"|(?:số dư (?:\w+ ){0,3}(?:không đủ|đã hết)|không đủ (?:số dư|tiền|tín dụng|credit|hạn mức)"
    r"|hết (?:tiền|tín dụng|credit|hạn mức|quota|số dư)|nạp thêm)"
    r"|(?:недостаточно (?:средств|кредитов|баланса)|недостаточн\w+ баланс|баланс\w* исчерпан"
    r"|пополните (?:баланс|счет|счёт))"
    r"|(?:(?:saldo|crédito|créditos|cuota) (?:\w+ )?insuficientes?|sin (?:saldo|créditos?)"
    r"|(?:solde|crédits?|quota) (?:\w+ )?(?:insuffisants?|épuisés?)"
    r"|(?:guthaben|kontingent|kredit)\w* (?:\w+ ){0,3}"
    r"(?:nicht aus|aufgebraucht|erschöpft|zu niedrig)"
    r"|(?:kein|nicht genug|nicht genügend) guthaben"
    r"|credito (?:\w+ )?(?:insufficiente|esaurito)|yetersiz bakiye|bakiye(?:niz)? yetersiz"
    r"|saldo (?:\w+ )?tidak (?:cukup|mencukupi)|रीचार्ज|يكفي رصيد|رصيد غير كاف)"
)
_PASSES: Final = re.compile(
    r"(?i)per[ -](?:minute|second|hour|day)|perminute|perday|requests? rate|rate[ _-]?limit"
    r"|(?:retry|try again) (?:in|after) \d|\b(?:rpm|tpm|rpd|tpd|qps|qpm)\b|concurren"
    r"|每(?:分钟|秒|天|日)|频率|并发|限流|限速"
)


def no_credit(codes: tuple[str, ...], words: str) -> bool:
    """Whether an error of those codes and words says that no credit is left."""
    if any(_CODE.fullmatch(code) for code in codes):
        return True
    return bool(_WORDS.search(words)) and not _PASSES.search(words)
