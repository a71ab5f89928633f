"""Samplers that hold a prediction, one line each, for every position-only process alike.

`order` is claimed for a fixed ratio of successive steps, once the run has enough evaluations behind
it.
"""

from __future__ import annotations

from fractions import Fraction

from splitting_analysis.churn import Churn
from splitting_analysis.clocks import Clock
from splitting_analysis.families import POSITION_ONLY
from splitting_analysis.models import Dynamics
from splitting_analysis.schemes import Scheme, Source, scheme

DDIM = "Song, Meng & Ermon, ICLR 2021 (DDIM), arXiv 2010.02502"
DEIS = "Zhang & Chen, ICLR 2023 (DEIS), arXiv 2204.13902"
DPM = "Lu et al., NeurIPS 2022 (DPM-Solver), arXiv 2206.00927"
DPMPP = "Lu et al., 2022 (DPM-Solver++), arXiv 2211.01095"
UNIPC = "Zhao et al., NeurIPS 2023 (UniPC), arXiv 2302.04867"
SA = "Xue et al., NeurIPS 2023 (SA-Solver), arXiv 2309.05019"
RES = "Zhang et al., 2023 (RES), arXiv 2308.02157"
EDM = "Karras et al., NeurIPS 2022 (EDM), arXiv 2206.00364"
FLOW = "Lipman et al., ICLR 2023 (flow matching), arXiv 2210.02747"
K_DIFFUSION = "Crowson, k-diffusion (2022)"

_3M = (
    "The shipped coefficient of the second difference is half of the polynomial's integral: its "
    "order is 2, not 3. E:data[3] has order 3."
)
_LAST = (
    "The authors' code leaves out the last correction; here every step is corrected, the last one "
    "too."
)
_EDM = (
    "Each step goes back in time by adding noise, then follows the probability flow: both keep "
    "the exact law, so that its order is Heun's. What a run is off at the start fades as in the "
    "reverse SDE with eta^2 = S_churn sigma/|d sigma/du|, u from 0 to 1 over the grid, with an "
    "error of order 1: that is its weak order as a solver of this SDE. S_noise is 1 here: 1.003 or "
    "1.007, as published, has another limit."
)
_2S_SDE = (
    "Both of a step's noises are those of one Brownian path, here as in SEEDS-2 (arXiv 2305.14267) "
    "the exact one; the code correlates them by increments in sigma, which is the same up to "
    "O(h). Drawn independently, as without its BrownianTree, they leave the order 1."
)
_CHURN = Churn(Fraction(40), Fraction(1, 20), Fraction(50))
"""Of Karras et al. 2022, table 5, ImageNet, but for S_noise."""
_THIRDS = "S E:{0}/3 S@1/3 E:{0}*2/3[2] S@2/3 E:{0}[3:dpm3]"
_2S = "S E:data/2 S@1/2 E:data[2:dpm]"
_UNIPC = "E:data[{0}:{2}] S@1 E:data[{1}:{2}]"
_ROWS: tuple[tuple[str, str, Dynamics, Clock, int, str, str, str], ...] = (
    ("DDIM", "S E:ddim", "ode", "lambda", 1, DDIM, "equation 12", ""),
    ("DPM++1", "S E:data", "ode", "lambda", 1, DPMPP, "equation 3.7", ""),
    ("DPM++2S", _2S, "ode", "lambda", 2, DPMPP, "algorithm 1", ""),
    ("DPM++2M", "S E:data[2:dpm]", "ode", "lambda", 2, DPMPP, "algorithm 2", ""),
    ("DPM++3M", "S E:data[3:dpm]", "ode", "lambda", 2, DPMPP, "its third order", _3M),
    ("DPM-Solver-2", "S E:eps/2 S@1/2 E:eps[2:dpm]", "ode", "lambda", 2, DPM, "algorithm 1", ""),
    ("DPM-Solver-3", _THIRDS.format("eps"), "ode", "lambda", 3, DPM, "algorithm 2", ""),
    ("DPM++3S", _THIRDS.format("data"), "ode", "lambda", 3, DPMPP, "the authors' code", ""),
    ("DEIS2", "S E:eps[2]", "ode", "tau", 2, DEIS, "tAB1", ""),
    ("DEIS3", "S E:eps[3]", "ode", "tau", 3, DEIS, "tAB2", ""),
    ("rho-DEIS2", "S E:eps[2]", "ode", "rho", 2, DEIS, "rhoAB1", ""),
    ("rho-DEIS3", "S E:eps[3]", "ode", "rho", 3, DEIS, "rhoAB2", ""),
    ("UniPC2", _UNIPC.format(2, 3, "bh2"), "ode", "lambda", 3, UNIPC, "p = 2, B_2", _LAST),
    ("UniPC3", _UNIPC.format(3, 4, "bh2"), "ode", "lambda", 4, UNIPC, "p = 3, B_2", _LAST),
    ("UniPC2-bh1", _UNIPC.format(2, 3, "bh1"), "ode", "lambda", 3, UNIPC, "p = 2, B_1", _LAST),
    ("UniPC3-bh1", _UNIPC.format(3, 4, "bh1"), "ode", "lambda", 4, UNIPC, "p = 3, B_1", _LAST),
    ("res2s", "S E:data/2 S@1/2 E:data[2]", "ode", "lambda", 2, RES, "c_2 = 1/2", ""),
    ("DPM++1-SDE", "S E:data", "sde", "lambda", 1, DPMPP, "section 4.3", ""),
    ("DPM++2M-SDE", "S E:data[2:dpm]", "sde", "lambda", 2, DPMPP, "section 4.3", ""),
    ("DPM++2S-SDE", _2S, "sde", "lambda", 2, K_DIFFUSION, "sample_dpmpp_sde, r = 1/2", _2S_SDE),
    ("SA2", "E:data[2] S@1 E:data[2]", "sde", "lambda", 2, SA, "predictor 2, corrector 2", ""),
    ("Euler-a", "S E:ddim", "sde", "lambda", 1, K_DIFFUSION, "sample_euler_ancestral", ""),
)

_OWN_ROWS: dict[str, tuple[tuple[str, str, Dynamics, Clock, int, str, str, str], ...]] = {
    "ve": (
        ("Euler", "S E:eps", "ode", "rho", 1, EDM, "in the noise level", ""),
        ("Heun", "S E:eps S@1 E:eps[2]", "ode", "rho", 2, EDM, "algorithm 1", ""),
        ("EDM", "S E:eps S@1 E:eps[2]", "ode", "rho", 2, EDM, "algorithm 2", _EDM),
    ),
    "flow": (
        ("Euler", "S E:velocity", "ode", "tau", 1, FLOW, "", ""),
        ("Midpoint", "S E:velocity/2 S@1/2 E:velocity[1]", "ode", "tau", 2, FLOW, "", ""),
        ("Heun", "S E:velocity S@1 E:velocity[2]", "ode", "tau", 2, FLOW, "", ""),
    ),
}

HELD_CATALOGUE: tuple[Scheme, ...] = tuple(
    scheme(
        word,
        model,
        dynamics,
        name,
        source=Source(cite, place, erratum),
        clock=clock,
        order=order,
        churn=_CHURN if name == "EDM" else None,
    )
    for model in POSITION_ONLY
    for name, word, dynamics, clock, order, cite, place, erratum in (
        *_ROWS,
        *_OWN_ROWS.get(model, ()),
    )
)
"""All orders are derived from the words; those of SDE's are weak, at any noise level."""
