"""Sentences of the Universal Declaration of Human Rights, and code pages that hold each language.

Most are a part of an article as nltk's collection `udhr` has it.
"""

from __future__ import annotations

SENTENCES = (
    (
        "cp1252",
        "Artículo 26 Toda persona tiene derecho a la educación. La educación debe ser gratuita,",
    ),
    (
        "cp1252",
        "Artigo 19° Todo o indivíduo tem direito à liberdade de opinião e de expressão, o que",
    ),
    (
        "cp1252",
        "Articolo 4 Nessun individuo potrà essere tenuto in stato di schiavitù o di servitù; la",
    ),
    (
        "cp1252",
        "Ingen må tvingas att tillhöra en sammanslutning. Envar har rätt att taga del i sitt",
    ),
    ("cp1252", "Heillä on yhtäläiset oikeudet avioliittoon, avioliiton aikana ja sen purkamisen"),
    (
        "cp1252",
        "Allir menn eiga rétt til lífs, frelsis og mannhelgi. Engan mann skal hneppa í þrældóm",
    ),
    (
        "cp1252",
        "Ningú no pot ser obligat a pertànyer a una associació. Article 21 Tota persona té dret",
    ),
    (
        "cp1252",
        "Tódolos nenos e nenas, nacidos de matrimonio ou fóra do matrimonio, teñen dereito á",
    ),
    (
        "cp1252",
        "Is é toil an phobail is foras don údarás rialuithe; léireofar an toil sin de thoradh",
    ),
    (
        "cp1252",
        "Gjithkush ka të drejtë të jetojë, të jetë i lirë dhe të ketë sigurimin vetjak. Asnjeri",
    ),
    (
        "cp1252",
        "Ar gwir-mañ n'haller ket daveiñ dezhañ pa vez klask war un den gant gwir abeg evit",
    ),
    (
        "cp1252",
        "Øll hava rætt til frítt at taka lut í mentanarlívi í samfelagnum, at njæta list og eiga",
    ),
    ("cp1252", "Li marièdje ni s'pout fé qui dè-l'plinne vol'té èt dè-l'tchûze dès cis qu's'ont"),
    (
        "cp1252",
        "C'è-st-insi qu'on n' pout fwèrci in-ovrî a trîmer foû mèzeûre èt qu'on lî deût payî dès",
    ),
    (
        "cp1252",
        "Artïclhe sé (7) Toutei son parer davan là lei moé tenon dreit sen deiparsiamen d'esse",
    ),
    ("cp1252", "Articulu 8 Hà dirittu ogni parsona à chjamà ni di modu effettivu à i tribunali"),
    (
        "cp1252",
        "Séng Nationalitéit duerf kengem Mënsch arbiträr entzu gin, och nët dat Recht fir séng",
    ),
    ("cp1252", "tavipen, Dikhindor so si trebutno te luludõn amalikane relàcie ma? kar-e nàcie e"),
    (
        "cp1252",
        "Inimõiguste ülddeklaratsioon Preambula Pidades silmas, et inimkonna kõigi liikmete",
    ),
    (
        "cp1252",
        "Anzönî yê sô alîngbi tî löndö na pekô tî âkodëkua, asêndâyê, âsêndâsû wala tî sêndägâo",
    ),
    (
        "cp1252",
        "Avavégui ndaikatúi ojepe'a oimeháicha reínte hetâ derecho oguerekóvagui okambiávo upe",
    ),
    (
        "cp1252",
        "Nit ku ne am na sañ-sañ ñu jàngal ko, njàng mi waruñu ci fayaku lu mu bon bon ci njàng",
    ),
    ("cp1252", "Tsá pihtójú pañe meíjcyáityuróne. Ehdu meíjcyane pámeere míamúnaa imí"),
    (
        "cp1252",
        "La voluntá del pueblu ye l'encontu onde s'apoya l'autoridá del poder públicu; esta",
    ),
    (
        "cp1252",
        "Articul 4 Nissune persone e pò jessi tignude in sclavitût o servitût; la sclavitût e il",
    ),
    (
        "cp1250 iso8859-2",
        "Článek 4 Nikdo nesmí být držen v otroctví nebo nevolnictví; všechny formy otroctví a",
    ),
    (
        "cp1250 iso8859-2",
        "Nikto sa nesmie držať v otroctve alebo v nevoľníctve: všetky formy otroctva a obchodu s",
    ),
    (
        "cp1250 iso8859-2",
        "emberi lény szabadon születik és egyenlô méltósága és joga van. Az emberek, ésszel és",
    ),
    (
        "cp1250 iso8859-2",
        "Vsakdo ima pravico do svobode mišljenja in izražanja vštevši pravico, da nihče ne sme",
    ),
    (
        "cp1250 iso8859-2",
        "OPĆA DEKLARACIJA O PRAVIMA ĆOVJEKA UVOD Budući da su priznavanje uroćenog dostojanstva",
    ),
    (
        "cp1250 iso8859-2",
        "Articolul 10 Orice persoană are dreptul în deplină egalitate de a fi audiată în mod",
    ),
    (
        "cp1250 iso8859-2",
        "Artikl 19 Kóždy ma prawo na swobodu měnjenja a wuprajenje měnjenja tute prawo wopłija",
    ),
    (
        "cp1251 koi8-r",
        "Никто не может быть осужден за преступление на основании совершения какого-либо деяния",
    ),
    (
        "cp1251",
        "Початкова освіта повинна бути обов'язковою. Технічна і професійна освіта повинна бути",
    ),
    (
        "cp1251",
        "Tе са надарени с разум и съвест и следва да се отнасят помежду си в дух на братство.",
    ),
    (
        "cp1251",
        "Яны надзелены розумам i сумленнем i павiнны ставiцца адзiн да аднаго ў духу брацтва.",
    ),
    (
        "cp1253 iso8859-7",
        "ΑΡΘΡΟ 25 Καθένας έχει δικαίωμα σε ένα βιοτικό επίπεδο ικανό να εξασφαλίσει στον ίδιο",
    ),
    (
        "cp1255 iso8859-8",
        "סעיף כז (1) כל אדם זכאי להשתתף תוך חירות בחייו התרבותיים של הציבור, ליהנות מהאמנויות",
    ),
    (
        "cp1254",
        "Her şahıs saldırısız toplanma ve dernek kurma ve derneğe katılma serbestisine maliktir.",
    ),
    (
        "cp1256 iso8859-6",
        "يجب أن تهدف التربية إلى إنماء شخصية الإنسان إنماء كاملا، وإلى تعزيز احترام الإنسان",
    ),
    ("cp1258", "Viẹc két hon chỉ được tién hành khi có sự đòng ý hoàn toàn và tự nguyẹn"),
    ("cp1252", "Article premier Tous les êtres humains naissent libres et égaux en dignité et en"),
    (
        "cp1252",
        "da ein gemeinsames Verständnis dieser Rechte und Freiheiten von größter Wichtigkeit für",
    ),
    (
        "cp1252",
        "Undervisningen skal være gratis, i det mindste på de elementære og grundlæggende trin.",
    ),
    (
        "cp1252",
        "Lò gen pèsekisyon, tout moun gen dwa chèche lazil epi benéefisie lazil nan lot peyi.",
    ),
    (
        "cp1252",
        "Kêst 7 Elkenien is gelyk foar de wet en hat sûnder ûnderskied oanspraak op gelikense",
    ),
    ("cp1252", "Artìculu 1 Totu sos èsseres umanos naschint lìberos e eguales in dinnidade e in"),
    ("cp1257", "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Jiems suteiktas protas"),
    ("cp1257", "Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās."),
    ("cp1251", "Сите човечки суштества се раѓаат слободни и еднакви по достоинство и права."),
    (
        "cp1250 iso8859-2",
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
    ),
)
"""Code pages and a sentence."""
