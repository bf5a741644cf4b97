//! A dealer, a host with all models, and the keys of all devices.

use std::fs;
use std::path::{Path, PathBuf};

use sharelet_link::Party;
use sharelet_link::Role;
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::processes::{Programs, Server};
use sharelet_testkit::rng;
use sharelet_testkit::room::{random_model, random_readings};

/// Readings of a model that are used, with their answers.
const READINGS: usize = 64;
/// The widths of the model that is always there.
const SMALL: [u16; 4] = [16, 32, 8, 3];

/// A model file and readings for it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The model file.
    pub model: PathBuf,
    /// The readings.
    pub readings: PathBuf,
}

/// A model, and what it answers in the clear.
#[derive(Debug)]
pub(crate) struct Twin {
    pub(crate) width: usize,
    pub(crate) frac_bits: u8,
    /// Readings, and their answers by each version of the model.
    pub(crate) rows: Vec<(Vec<f32>, Vec<Vec<u64>>)>,
}

impl Twin {
    pub(crate) fn new(versions: &[&Model], readings: &Readings) -> Self {
        let answer = |model: &Model, row: &[f32]| {
            let words = model.encode(row).ok()?;
            let answer = model.infer(&words).expect("as wide as the model");
            let wide = answer.iter().map(|word| i64::from(word.cast_signed()).cast_unsigned());
            Some(wide.collect())
        };
        let answers = |row: &[f32]| {
            let all: Option<Vec<Vec<u64>>> =
                versions.iter().map(|model| answer(model, row)).collect();
            Some((row.to_vec(), all?))
        };
        let rows: Vec<_> = readings.rows().filter_map(answers).take(READINGS).collect();
        assert!(!rows.is_empty(), "no reading that the model is made for");
        let network = &versions.first().expect("a version").network;
        Self { width: network.inputs(), frac_bits: network.output_frac_bits(), rows }
    }
}

/// A model, and who asks it.
#[derive(Debug)]
pub(crate) struct Hall {
    pub(crate) twin: Twin,
    /// Where the files of its devices are: for each those of its identity, key and counter.
    pub(crate) devices: Vec<PathBuf>,
    /// The devices that will stop in the middle.
    pub(crate) stoppers: Vec<PathBuf>,
}

/// All programs.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) dealer: Server,
    pub(crate) host: Server,
    pub(crate) halls: Vec<Hall>,
}

impl Services {
    /// Starts a dealer, and a host of a small random model and those of all cases; `devices` and
    /// `stoppers` are divided among them.
    pub(crate) fn start(
        room: &Programs,
        cases: &[Case],
        seed: u64,
        (devices, stoppers): (usize, usize),
    ) -> Self {
        let mut models = vec![small(seed)];
        models.extend(cases.iter().map(|Case { model, readings }| load(model, readings)));
        let count = models.len();
        fs::create_dir(room.path("devices")).expect("makes");
        let share = |of: usize, hall: usize| of / count + usize::from(hall < of % count);
        let names: Vec<_> = (0..count)
            .map(|hall| {
                let names = |letter: char, of| {
                    let name = move |n: usize| format!("{letter}{hall}-{n}");
                    (0..share(of, hall)).map(name).collect::<Vec<_>>()
                };
                (names('d', devices), names('s', stoppers))
            })
            .collect();
        room.works("keygen host hall");
        room.works("pair hall.id dealer.id");
        for (number, ((model, _), (devices, stoppers))) in models.iter().zip(&names).enumerate() {
            let all = [devices.as_slice(), stoppers].concat().join(" ");
            room.works(&format!("provision {all} --state dealer-state -o devices --peer hall.id"));
            let file = format!("model-{number}.slt");
            model.save(&room.path(&file)).expect("saves");
            room.works(&format!("models models add model-{number} {file}"));
            room.works(&format!("models models assign model-{number} {all}"));
        }
        let dealer = room.serve("dealer --state dealer-state");
        let host = room.serve(&format!(
            "host --models models --dealer {} --state hall --id hall.id --sessions-per-day 1000000",
            dealer.address
        ));
        let of_model = |((model, readings), (devices, stoppers))| {
            let (model, readings): (Model, Readings) = (model, readings);
            let path = |name: String| room.path("devices").join(name);
            let paths = |names: Vec<String>| names.into_iter().map(path).collect();
            Hall {
                twin: Twin::new(&[&model], &readings),
                devices: paths(devices),
                stoppers: paths(stoppers),
            }
        };
        let halls = models.into_iter().zip(names).map(of_model).collect();
        Self { dealer, host, halls }
    }

    /// The numbers of all programs, the dealer's first.
    pub(crate) fn ids(&self) -> Vec<u32> {
        vec![self.dealer.program.id(), self.host.program.id()]
    }
}

pub(crate) fn small(seed: u64) -> (Model, Readings) {
    let mut rng = rng(seed);
    let model = random_model(&SMALL, &mut rng);
    let readings = random_readings(&model, READINGS, &mut rng);
    (model, readings)
}

pub(crate) fn load(model: &Path, readings: &Path) -> (Model, Readings) {
    let model = Model::load(model).expect("a model");
    let options = ReadOptions { width: Some(model.network.inputs()), divide: None };
    let readings = Readings::load(readings, options).expect("readings");
    (model, readings)
}

/// Somebody with a device's name.
pub(crate) fn device(name: &str) -> Party {
    Party::new(Role::Device, name).expect("a name")
}
