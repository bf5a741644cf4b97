//! The board's clocks.

use embassy_stm32::{Config, rcc};

/// 400 MHz from the internal oscillator, 48 MHz for the random number generator, 50 MHz for the
/// converter.
pub fn clocks() -> Config {
    let mut config = Config::default();
    let pll = |divp| rcc::Pll {
        source: rcc::PllSource::HSI,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL50,
        fracn: None,
        divp: Some(divp),
        divq: None,
        divr: None,
    };
    config.rcc.hsi = Some(rcc::HSIPrescaler::DIV1);
    config.rcc.csi = true;
    config.rcc.hsi48 = Some(rcc::Hsi48Config::default());
    config.rcc.pll1 = Some(pll(rcc::PllDiv::DIV2));
    config.rcc.pll2 = Some(pll(rcc::PllDiv::DIV8));
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb3_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    config.rcc.voltage_scale = rcc::VoltageScale::Scale1;
    config.rcc.mux.adcsel = rcc::mux::Adcsel::PLL2_P;
    config
}
