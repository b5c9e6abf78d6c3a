"""Texts for the comparison of tokenizers: prose of several scripts, and random mixtures of what splitters, normalizers
and vocabularies treat each in its own way."""
import random
import sys
import unicodedata

PROSE = [
    "The river rose in the night, and by morning it had taken the old bridge. We'd seen it coming; nobody'd listened.",
    "In 1987 she measured 12,345 stars; 3.1416 of her colleagues' instruments didn't agree (they're older).",
    "def rise(x, y=2):\n    if x > 10:\n\treturn x ** y  # 1024\n    return {'x': [x, y]}\n\n\n",
    "Über den Dächern lag früher Nebel; die Straße glänzte, und niemand öffnete die Tür. Das wär's gewesen.",
    "Où étaient-ils, l'été dernier ? À la campagne, près d'un vieux château : c'était là qu'on avait dîné.",
    "Mañana el niño llevará una jarra de agua; ¿quién la beberá? ¡Ojalá llueva pronto!",
    "Đường về nhà rất xa, nhưng mưa đã tạnh và trời đẹp.",
    "Рано утром старик вышел к реке и увидел, что лёд уже сошёл; ёлки стояли в воде.",
    "Το καράβι έφυγε νωρίς το πρωί, και κανείς δεν είδε τη θάλασσα ήρεμη ξανά.",
    "बारिश के बाद गाँव की सड़क पर कीचड़ था, फिर भी बच्चे हँसते हुए स्कूल गए। क़लम और ज़मीन।",
    "மழை நின்றதும் கோழிகள் வெளியே வந்தன; சிறுவன் கதவைத் திறந்தான்.",
    "في الصباح ذهب الولد إلى السوق واشترى خبزًا وتمرًا، ثم عاد إلى البيت مُسرعًا.",
    "בבוקר יצא הילד אל השוק וקנה לחם; הַשָּׁמַיִם היו בהירים.",
    "早上下了雨，老人把船推到河边，发现桥已经不见了。価格は１２３円です。",
    "夜が明けると、橋は流されていた。ガラスの窓とカタカナ、ﾊﾝｶｸも。",
    "아침에 강물이 불어서 다리가 떠내려갔다. 아이들은 학교에 가지 못했다.",
    "เช้านี้ฝนตกหนัก น้ำในแม่น้ำสูงขึ้นมาก เด็กๆ ไม่ได้ไปโรงเรียน",
    "The phonemes [ˈθɪŋkɪŋ] and [ʃɑ̃sɔ̃] differ; x̂ ± σ̄ ≈ 10⁻³, ½ of ﬁve kΩ is 2.5 K.",
]
BLANKS = " \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\x1c\x1f"
MARKS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.combining(chr(c))]
DIGITS = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Nd", "Nl", "No")]
PEOPLE = "👩👨🧑👶🏽🏿👍🏳🌈❤🔥🇩🇪🇫🇷🏴󠁧󠁢󠁥󠁮󠁧󠁿⚕✈♀♂"
ENDINGS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'Ll", "'ſ", "’s", "''", "'x", " 's"]
JOINTS = list("aeiouAEOsSdDlLkK가나다각한ᄀ나ᅥᆨᆫ\u0b47\u0b3e\u09c7\u09be\u1100\u1161\u11a8"
              "\u0344\u0958\u2126\u212b\ufb01\uf900")
BORDERS = [0x7F, 0x80, 0x7FF, 0x800, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0xE000, 0xF8FF, 0xFDD0, 0x1FFFE, 0x2FFFF,
           0x10FFFF, 0xF0000, 0x100000, 0x378, 0x2FE0, 0xE0001, 0x2EBF0, 0x1C89, 0x11DE0, 0x116D0, 0x898, 0x1DF6, 0x11938, 0x32FF]


def character(r):
    """A code point of a random plane, or of a random 256 of the first."""
    while True:
        c = r.choice([r.randrange(0x110000), r.randrange(0x20000), r.randrange(0x3000), r.randrange(0x300),
                      r.choice(BORDERS)])
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def prose(r):
    text = r.choice(PROSE)
    begin = r.randrange(len(text))
    return text[begin:begin + r.randrange(1, 60)]


def piece(r, added):
    kind = r.randrange(12)
    count = r.randrange(1, 6)
    if kind == 0:
        return "".join(character(r) for _ in range(count))
    if kind == 1:
        return r.choice(JOINTS) + "".join(r.choice(MARKS) for _ in range(count))
    if kind == 2:
        return "".join(r.choice(PEOPLE) + r.choice(["", "\u200d", "\ufe0f"]) for _ in range(count))
    if kind == 3:
        return "".join(chr(r.randrange(0x20) if r.random() < 0.8 else r.randrange(0x7F, 0xA0)) for _ in range(count))
    if kind == 4:
        return "".join(r.choice(BLANKS) for _ in range(count)) if r.random() < 0.5 else r.choice(BLANKS[:4]) * count
    if kind == 5:
        return "".join(r.choice(DIGITS) if r.random() < 0.6 else r.choice("0123456789") for _ in range(count))
    if kind == 6:
        return r.choice(["it", "we", "Ω", "", "x1", " "]) + r.choice(ENDINGS) + r.choice(["", "x", " ", "'s"])
    if kind == 7 and added:
        token = r.choice(added)
        return token if r.random() < 0.7 else token[:r.randrange(len(token))] + r.choice(["", " ", "▁", token])
    if kind == 8:
        return "".join(r.choice(JOINTS) for _ in range(count))
    if kind == 9:
        return r.choice(["▁", "▁▁", " ▁", "▁ ", "Ġ", "<0x41>", "<0xFF>", "<unk>", "##", "_"])
    return prose(r)


def texts(count, seed, added=()):
    """`count` texts; every tenth is longer. The first are what needs no luck to be found."""
    r = random.Random(seed)
    out = ["", " ", "  ", "\n", "a", "▁", *PROSE, *(PROSE[0] + token + PROSE[3] for token in added)]
    while len(out) < count:
        out.append("".join(piece(r, added) for _ in range(r.randrange(1, 40 if len(out) % 10 == 0 else 7))))
    return out[:count]


if __name__ == "__main__":
    for text in texts(int(sys.argv[1]), 1):
        print(ascii(text))
