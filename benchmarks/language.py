"""How well the language of a comment is told: the bundled model alone, two simple rules, and ours.

    python -m benchmarks.language --dev dev.jsonl --train train.jsonl [--random random.jsonl]

Each file holds one comment a line with `text` and `language`. The rule was tuned on short comments
of the training file and on the lists below, and mistakes on the random file were seen
meanwhile: only the development file judges it unseen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from model.language import detect_language, language_probabilities

Rows = Sequence[tuple[str, str]]  # (text, language)
SHORT = 40  # characters

# Comments of one to four words, as customers write them. Words that are both, such as "super" or
# "top", stand in `EITHER`, where both answers are right.
GERMAN = """
sehr gut|alles bestens|gerne wieder|zu teuer|nie wieder|schnelle Lieferung|nettes Personal|Müll
schlecht|einfach|funktioniert nicht|Paket kam nie|alles prima|guter Service|unfreundlich|zu langsam
lange Wartezeit|keine Antwort|Preis zu hoch|empfehlenswert|unübersichtlich|Lieferung dauerte ewig
Ware beschädigt|tolle Beratung|immer wieder gern|geht so|kann man lassen|nicht zu empfehlen
Frechheit|bin zufrieden|hat alles geklappt|falsche Größe|schöne Farbe|App stürzt ab|Rückgeld fehlt
weiter so|passt|läuft|klasse|wunderbar|enttäuschend|katastrophal|freundliche Mitarbeiter|gutes Essen
schmeckt nicht|Verpackung kaputt|Preise gestiegen|kein Kundenservice|zuverlässig|pünktlich
Hotline nicht erreichbar|nur Ärger|viel Auswahl|saubere Toiletten|bequeme Sitze|prompte Hilfe
leider ausverkauft|wieder bestellen|große Auswahl|unkompliziert
"""
ENGLISH = """
very good|all good|would buy again|too expensive|never again|fast delivery|friendly staff|rubbish
bad|easy|does not work|parcel never came|great stuff|good service|rude|too slow
long wait|no answer|price too high|recommended|confusing|delivery took forever
item damaged|great advice|love it|so so|waste of money|not recommended|disgrace
am happy|everything worked|wrong size|nice colour|app keeps crashing|refund missing|keep it up
fits|works|brilliant|wonderful|disappointing|terrible|helpful employees|good food
tastes awful|packaging broken|prices went up|no customer service|reliable|on time
hotline unreachable|nothing but trouble|plenty of choice|clean toilets|comfy seats|quick help
sadly sold out|ordering again|wide selection|straightforward
"""
EITHER = "super|top|ok|Okay|perfekt/perfect|App|Service|WLAN/wifi|mega|fair|Hotel|Team super"
OTHER = """
De levering was snel en het pakket was goed verpakt.|Ik wacht al drie weken op mijn bestelling.
De klantenservice neemt de telefoon nooit op.|Heel tevreden over de kwaliteit van de schoenen.
Veel te duur voor wat je krijgt.|De app werkt niet meer na de laatste update.
Vriendelijk personeel en een nette winkel.|Ik heb mijn geld nog steeds niet teruggekregen.
De broek is te klein en de stof voelt goedkoop.|Ik zou deze winkel aan iedereen aanraden.
La livraison a été très rapide, merci beaucoup.|Le service client ne répond jamais au téléphone.
Je suis déçue par la qualité du tissu.|Les prix sont trop élevés pour ce que c'est.
Je n'ai toujours pas reçu mon remboursement.|Personnel aimable et magasin bien rangé.
L'application se ferme toute seule depuis hier.|Je recommande ce site à tous mes amis.
Le colis est arrivé ouvert et il manquait un article.|Très bon rapport qualité prix.
La consegna è stata velocissima, grazie mille.|Il servizio clienti non risponde mai.
Sono molto delusa dalla qualità della borsa.|I prezzi sono troppo alti rispetto alla qualità.
Non ho ancora ricevuto il rimborso.|Personale gentile e negozio molto pulito.
L'applicazione si chiude sempre da sola.|Consiglio questo negozio a tutti i miei amici.
Il pacco è arrivato aperto e mancava un articolo.|Ottimo rapporto tra qualità e prezzo.
El envío fue muy rápido y todo llegó bien.|El servicio de atención al cliente no contesta nunca.
Estoy muy decepcionada con la calidad.|Los precios son demasiado altos para lo que ofrecen.
Todavía no he recibido el reembolso.|El personal es amable y la tienda está limpia.
La aplicación se cierra sola desde ayer.|Recomiendo esta tienda a todos mis amigos.
El paquete llegó abierto y faltaba un artículo.|Muy buena relación entre calidad y precio.
Dostawa była bardzo szybka, dziękuję.|Obsługa klienta nigdy nie odbiera telefonu.
Jestem bardzo zawiedziona jakością butów.|Ceny są za wysokie w stosunku do jakości.
Nadal nie otrzymałem zwrotu pieniędzy.|Personel jest miły, a sklep czysty.
Aplikacja ciągle się zamyka.|Polecam ten sklep wszystkim znajomym.
Paczka przyszła otwarta i brakowało jednego produktu.|Bardzo dobry stosunek jakości do ceny.
"""


def listed(block: str) -> list[str]:
    """Return the comments of one of the lists above."""
    return [text.strip() for line in block.strip().splitlines() for text in line.split("|")]


def read(path: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(row["text"], row["language"]) for row in rows]


def lite_model(text: str) -> str:
    """The bundled model's first choice, on the text as written."""
    best = max(language_probabilities(text).items(), key=lambda item: item[1], default=("und", 0.0))
    return best[0] if best[0] in {"de", "en"} else "other"


def lite_model_lowered(text: str) -> str:
    """Lower case; German or English where they have .05 together."""
    scores = language_probabilities(text.lower())
    german, english = scores.get("de", 0.0), scores.get("en", 0.0)
    if german + english < 0.05:
        return "other"
    return "de" if german >= english else "en"


RULES: Mapping[str, Callable[[str], str]] = {
    "bundled model": lite_model,
    "lower-cased, .05 together": lite_model_lowered,
    "detect_language": detect_language,
}


def sets(options: argparse.Namespace) -> dict[str, Rows]:
    """Return the sets to judge on, by the title of their column."""
    train = [row for row in read(options.train) if len(row[0]) <= SHORT]
    found: dict[str, Rows] = {"dev": read(options.dev), f"train <= {SHORT}": train}
    if options.random:
        found["random"] = read(options.random)
        found[f"random <= {SHORT}"] = [row for row in found["random"] if len(row[0]) <= SHORT]
    found["1-4 words de"] = [(text, "de") for text in listed(GERMAN)]
    found["1-4 words en"] = [(text, "en") for text in listed(ENGLISH)]
    found["either"] = [(part, "de|en") for text in listed(EITHER) for part in text.split("/")]
    found["nl fr it es pl"] = [(text, "other") for text in listed(OTHER)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--random", type=Path)
    parser.add_argument("--errors", action="store_true", help="show what our rule gets wrong")
    options = parser.parse_args()
    judged = sets(options)
    detect_language("warm up")
    print("| rule | " + " | ".join(judged) + " | µs a text |")
    print("|---" * (len(judged) + 2) + "|")
    for name, rule in RULES.items():
        start = time.perf_counter()
        right = [sum(rule(t) in gold.split("|") for t, gold in rows) for rows in judged.values()]
        spent = (time.perf_counter() - start) / sum(map(len, judged.values()))
        cells = [f"{n} of {len(rows)}" for n, rows in zip(right, judged.values(), strict=True)]
        print(f"| {name} | " + " | ".join(cells) + f" | {spent * 1e6:.0f} |")
    if options.errors:
        for title, rows in judged.items():
            for text, gold in rows:
                if (said := detect_language(text)) not in gold.split("|"):
                    print(f"{title}: {gold} read as {said}: {text[:80]!r}")


if __name__ == "__main__":
    main()
