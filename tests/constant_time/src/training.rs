//! What the dealer makes for two servers: a training run, and a shared model. Server 0's key and
//! all that comes of it are secret.

use core::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use sharelet_core::binding::Binding;
use sharelet_core::keystream::{Key, Keystream};
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::plans::Plans;
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::serving::Serving;
use sharelet_train::state::State;
use sharelet_train::tensor::offline::deal;

use crate::secret::Secrets;

/// A network with every kind of layer, and what is opened in between.
const NETWORK: &str = "[data]\ntrain = \"train\"\n[model]\nkind = \"network\"\ninput = [1, 4, \
                       4]\nloss = \"cross-entropy\"\n[[model.layer]]\nkind = \
                       \"convolution\"\nfilters = 2\nkernel = 3\npadding = 1\n[[model.layer]]\n\
                       kind = \"relu\"\n[[model.layer]]\nkind = \"max-pool\"\nkernel = \
                       2\n[[model.layer]]\nkind = \"dense\"\noutputs = 3\n[training]\nepochs = \
                       1\nbatch = 4\nlearning_rate = 0.1\nmomentum = 0.9\n";
/// A regression on standardised columns.
const REGRESSION: &str = "[data]\ntrain = \"train\"\n[model]\nkind = \
                          \"linear-regression\"\n[training]\nepochs = 1\nbatch = 4\nlearning_rate \
                          = 0.1\n[arithmetic]\ntruncation = \"exact\"\n";

fn binding(seed: u64) -> Binding {
    let key = Key::from_bytes(Secrets::new(seed).key());
    Binding::new(&Keystream::new(&key), &[b"a program"])
}

/// All sessions of short runs.
pub fn runs() {
    for (at, text, features, targets) in [(80, NETWORK, 16, 3), (81, REGRESSION, 3, 1)] {
        let config = Config::parse(text, Path::new("a run")).expect("a configuration");
        let sizes = Sizes { rows: 8, features, targets, test_rows: 4, ..Sizes::default() };
        let course = Arc::new(Course::new(config, sizes).expect("fits"));
        let plans = Plans::new(&course).expect("can be planned");
        let mut state = State::empty(course.clone()).expect("a network");
        let (binding, rng) = (binding(at), &mut Secrets::new(at + 10));
        let mut dealt = 0;
        for (number, session) in (0..).zip(course.sessions(0)) {
            let (plan, turn) = (plans.of(course.kind(session)), &mut state.turn(session));
            let made = deal(&plan, turn, course.truncation(), &binding, number, rng);
            black_box(made.expect("fitting sizes").0.product_bytes());
            dealt += 1;
        }
        assert!(dealt > 2, "{dealt}");
    }
}

/// Shared models of the same kinds: the session that opens one, and an inference.
pub fn shared_models() {
    for (at, text, features, targets, standardised) in
        [(90, NETWORK, 16, 3, 0), (91, REGRESSION, 3, 1, 3)]
    {
        let config = Config::parse(text, Path::new("a run")).expect("a configuration");
        let sizes = Sizes { rows: 8, features, targets, ..Sizes::default() };
        let course = Course::new(config, sizes).expect("fits");
        let (network, arithmetic) = (course.network().clone(), course.config().arithmetic);
        let serving = Serving::new(network, arithmetic, standardised).expect("can be served");
        let (binding, rng) = (binding(at), &mut Secrets::new(at + 10));
        let (zeros, truncation) = (serving.zeros(), serving.truncation());
        let scaling = vec![[0; COLUMN_WORDS]; serving.standardised()];
        let open = &mut serving.open(&zeros, &scaling);
        let made = deal(serving.opening(), open, truncation, &binding, 0, rng);
        let (dealt, masks) = made.expect("fitting sizes");
        black_box(dealt.product_bytes());
        let mut evaluate = serving.evaluate(&masks, vec![0; serving.inputs()]).expect("fits");
        let made = deal(serving.evaluation(), &mut evaluate, truncation, &binding, 1, rng);
        black_box(made.expect("fitting sizes").0.product_bytes());
    }
}
